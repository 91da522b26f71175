"""REST of an installation, or of one service of it, as the commands speak it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from chat_local.client.errors import NotChat, NothingThere, Refused

ModelT = TypeVar("ModelT", bound=BaseModel)

ANSWER_SECONDS = 20.0
CONNECT_SECONDS = 5.0
USER_AGENT = "chat-cli"
_FIRST_FAILURE = 400


@dataclass(frozen=True)
class Answer:
    """A success: its status and its JSON body, None where there is none."""

    url: str
    status: int
    body: Any

    @property
    def data(self) -> Any:
        """The `data` of a public route's envelope.

        Raises:
            NotChat: there is no such envelope.
        """
        if not isinstance(self.body, dict) or "data" not in self.body:
            raise NotChat(self.url, self.status)
        return self.body["data"]

    def read_as(self, model: type[ModelT]) -> ModelT:
        """Return the body of a route between services.

        Raises:
            NotChat: it is none of these.
        """
        try:
            return model.model_validate(self.body)
        except ValidationError:
            raise NotChat(self.url, self.status) from None


class Api:
    """Speaks to one base URL; use as an async context manager."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        """`headers` go with every request."""
        self.url = url
        self._headers = {"user-agent": USER_AGENT, **(headers or {})}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        self._http = aiohttp.ClientSession(
            headers=self._headers, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one request and return its success.

        Args:
            token: an access token, where somebody is to be signed in.

        Raises:
            NothingThere: no connection, or no answer within 20 seconds.
            NotChat: the answer is none of ours.
            Refused: a failure, with its code.
        """
        if self._http is None:
            raise RuntimeError("use it as a context manager")
        signed = {"authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._http.request(
                method, self.url + path, json=body, params=query, headers={**signed, **(headers or {})}
            ) as response:
                return self._read(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NothingThere(self.url) from error

    def _read(self, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
        try:
            parsed = json.loads(content) if content else None
        except ValueError:
            raise NotChat(self.url, status) from None
        if status < _FIRST_FAILURE:
            return Answer(self.url, status, parsed)
        if not isinstance(parsed, dict) or "code" not in parsed:
            raise NotChat(self.url, status)
        raise Refused(
            status,
            str(parsed["code"]),
            _explanation(parsed),
            retryable=bool(parsed.get("retryable")),
            retry_after=_seconds(headers.get("retry-after", "")),
        )


def _explanation(problem: Mapping[str, Any]) -> str:
    """Return the message of a refusal, with the fields that are wrong."""
    fields = problem.get("errors") or []
    details = "; ".join(f"{field.get('field')}: {field.get('message')}" for field in fields)
    message = str(problem.get("message", ""))
    return f"{message}: {details}" if details else message


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0
