"""Loaded by schemathesis: who calls. Not a test, and not imported by one."""

import os
import secrets
from typing import Any

import httpx2
import schemathesis

URL = os.environ["CHAT_FUZZ_URL"]
#: The owner of what the dictionaries name.
OWNER = {"username": os.environ["CHAT_FUZZ_USERNAME"], "password": os.environ["CHAT_FUZZ_PASSWORD"]}
#: They change or end the caller's account or session, so an account of their own calls them.
ENDING = ["changeOwnProfile", "changePassword", "deleteAccount", "logOut", "revokeSession"]
#: That of the documents' examples: some calls shall work.
EXAMPLE_PASSWORD = "correct horse battery staple"
TIMEOUT = 15.0
REFUSED_BY_THE_PROXY = set("/\\;%?#\0")


def _post(path: str, body: dict[str, str]) -> Any:
    answer = httpx2.post(f"{URL}/api/v1{path}", json=body, timeout=TIMEOUT, trust_env=False)
    answer.raise_for_status()
    return answer.json()["data"]


@schemathesis.hook  # type: ignore[untyped-decorator]
def filter_path_parameters(context: schemathesis.HookContext, path_parameters: dict[str, Any] | None) -> bool:
    """Leave out what the proxy refuses by itself."""
    return not any(REFUSED_BY_THE_PROXY & set(str(value)) for value in (path_parameters or {}).values())


class _Bearer(schemathesis.AuthProvider[str]):
    def set(self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext) -> None:
        """Put the token into a request."""
        case.headers["authorization"] = f"Bearer {data}"


@schemathesis.auth(retry_on=[401]).skip_for(operation_id=ENDING)
class OwnerAuth(_Bearer):
    """The owner, in a session that lasts."""

    def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
        """Log in; called again when the session is over."""
        token: str = _post("/auth/login", OWNER)["accessToken"]
        return token


@schemathesis.auth(retry_on=[401]).apply_to(operation_id=ENDING)
class ShortLivedAuth(_Bearer):
    """An account that may be gone with the next call."""

    def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
        """Make an account and log in; called again when that session is over."""
        name = f"fuzz_{secrets.token_hex(6)}"
        account = {"username": name, "email": f"{name}@example.org", "password": EXAMPLE_PASSWORD}
        _post("/auth/register", account)
        token: str = _post("/auth/login", {"username": name, "password": EXAMPLE_PASSWORD})["accessToken"]
        return token
