"""The REST side of a test: requests whose answers are checked against the contract."""

import secrets
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Self

import httpx2

from chat_shared.contracts.envelope import Page, Problem, Success
from chat_shared.testing.rest_contract import check_answer

API = "/api/v1"
PASSWORD = "correct horse 42 battery"
PROBLEM_FIELDS = set(Problem.model_json_schema(by_alias=True)["properties"])
REQUEST_SECONDS = 15.0


@dataclass
class User:
    """An account, and the session it is logged in with."""

    id: str
    username: str
    email: str
    password: str
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say who is asking."""
        return {"authorization": f"Bearer {self.access_token}"}


class ApiClient:
    """Speaks to one base URL for any number of users; keeps no cookies of its own.

    Paths are relative to `/api/v1`. An answer that is not documented fails the test that asked.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self.http = httpx2.AsyncClient(
            base_url=self.base_url,
            cookies=no_cookies,
            timeout=REQUEST_SECONDS,
            trust_env=False,
            event_hooks={"response": [_keeps_the_contract]},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def send(self, method: str, path: str, user: User | None = None, **options: Any) -> httpx2.Response:
        """Return the raw answer; `options` are httpx2's (json, params, files, headers), and `cookies`."""
        headers = {**(user.headers if user else {}), **options.pop("headers", {})}
        if cookies := options.pop("cookies", None):
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        return await self.http.request(method, f"{API}{path}", headers=headers, **options)

    async def call(
        self, method: str, path: str, user: User | None = None, *, status: int = 200, **options: Any
    ) -> dict[str, Any]:
        """Return the body of an answer that has to be a success with this status."""
        return success_body(await self.send(method, path, user, **options), status)

    async def data(self, method: str, path: str, user: User | None = None, **options: Any) -> Any:
        """Return the `data` of a success."""
        return (await self.call(method, path, user, **options))["data"]

    async def refused(
        self,
        method: str,
        path: str,
        user: User | None = None,
        *,
        status: int,
        code: str,
        **options: Any,
    ) -> Problem:
        """Return the problem details of an answer that has to be refused with this status and code."""
        problem = problem_body(await self.send(method, path, user, **options))
        assert (problem.status, problem.code) == (status, code), problem
        return problem

    async def register(self, username: str = "", **fields: Any) -> User:
        """Make an account; the rest of its profile is taken from `fields`."""
        name = username or f"user_{secrets.token_hex(5)}"
        body = {"username": name, "email": f"{name}@example.org", "password": PASSWORD, **fields}
        profile = await self.data("POST", "/auth/register", status=201, json=body)
        account = profile.get("user", profile)
        return User(account["id"], account["username"], body["email"], body["password"])

    async def login(self, user: User) -> User:
        """Begin a session; its tokens are put into `user`, which is returned."""
        credentials = {"username": user.username, "password": user.password}
        response = await self.send("POST", "/auth/login", json=credentials)
        user.access_token = success_body(response)["data"]["accessToken"]
        user.refresh_token = response_cookies(response)["refreshToken"].value
        return user

    async def another_session(self, user: User) -> User:
        """Return the same account in a second session."""
        return await self.login(User(user.id, user.username, user.email, user.password))


async def _keeps_the_contract(response: httpx2.Response) -> None:
    check_answer(response, await response.aread())


def success_body(response: httpx2.Response, status: int = 200) -> dict[str, Any]:
    """Return the body of a success after checking that it has the agreed form."""
    assert response.status_code == status, f"{response.request.url}: {response.status_code} {response.text}"
    assert response.headers["content-type"].startswith("application/json")
    body: dict[str, Any] = response.json()
    model = Page[Any] if "meta" in body else Success[Any]
    model.model_validate(body)
    assert set(body) == {"statusCode", "success", "message", "data"} | (set(body) & {"meta"})
    assert body["statusCode"] == status
    return body


def problem_body(response: httpx2.Response) -> Problem:
    """Return the body of a failure after checking that it has both agreed forms."""
    assert response.status_code >= 400, f"{response.request.url}: {response.status_code} {response.text}"
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert set(body) == PROBLEM_FIELDS
    problem = Problem.model_validate(body)
    assert problem.status == problem.status_code == response.status_code
    assert problem.type == f"urn:chat:problem:{problem.code}"
    assert problem.detail == problem.message
    return problem


def response_cookies(response: httpx2.Response) -> SimpleCookie:
    """Return the cookies that an answer sets, with their attributes."""
    cookies = SimpleCookie()
    for header in response.headers.get_list("set-cookie"):
        cookies.load(header)
    return cookies
