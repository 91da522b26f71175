"""Calls to other services: JSON over HTTP with service token, request id, deadline and clear failures."""

import random
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import aiohttp
import orjson
from pydantic import BaseModel

from chat_shared.errors import ChatError, OutcomeUnknown, RemoteError, Unavailable
from chat_shared.metrics import INTERNAL_CALLS
from chat_shared.request_context import DEADLINE_HEADER, REQUEST_ID_HEADER, request_id, seconds_left

SERVICE_TOKEN_HEADER = "x-service-token"  # noqa: S105 - the header's name, not a token
CONNECT_SECONDS = 1.0
DEFAULT_SECONDS = 5.0

ModelT = TypeVar("ModelT", bound=BaseModel)


class ServiceClient:
    """Talks to all instances of one service.

    A call goes to one instance; only when no connection could be made, so that the request cannot have
    arrived, is another instance asked, once. Nothing else is repeated here: the caller knows what is safe.
    """

    def __init__(self, target: str, urls: Sequence[str], service_token: str) -> None:
        """`target` names the service in errors and metrics; `urls` are its instances' base URLs."""
        self._target = target
        self._urls = [url.rstrip("/") for url in urls]
        self._token = service_token
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=30, ttl_dns_cache=10),
            headers={SERVICE_TOKEN_HEADER: self._token},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def stop(self) -> None:
        """Close the connection pool."""
        if self._session is not None:
            await self._session.close()

    def instances_for(self, key: str | None) -> list[str]:
        """Return the instances in the order to try: by rendezvous hash of `key`, or at random.

        The same key goes to the same instance everywhere while the list stays the same, so that one
        process does the work of one room (Thaler and Ravishankar, 1998).
        """
        if key is None:
            return random.sample(self._urls, len(self._urls))
        return sorted(self._urls, key=lambda url: blake2b(f"{url}|{key}".encode(), digest_size=8).digest())

    async def get(self, path: str, answer: type[ModelT], *, timeout: float = DEFAULT_SECONDS) -> ModelT:
        """GET `path` and parse the answer; see `request` for what it raises."""
        return answer.model_validate_json(await self.request("GET", path, timeout=timeout))

    async def post(
        self,
        path: str,
        body: BaseModel,
        answer: type[ModelT],
        *,
        key: str | None = None,
        timeout: float = DEFAULT_SECONDS,
    ) -> ModelT:
        """POST `body` to `path` and parse the answer; see `request` for what it raises."""
        payload = body.model_dump_json(exclude_none=True).encode()
        return answer.model_validate_json(await self.request("POST", path, payload, key=key, timeout=timeout))

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | aiohttp.FormData | None = None,
        *,
        key: str | None = None,
        timeout: float = DEFAULT_SECONDS,
    ) -> bytes:
        """Call the service and return the body of its answer.

        Args:
            body: JSON bytes, or a form for an upload.
            key: calls with the same key prefer the same instance.
            timeout: seconds to wait at most; never longer than the caller of this request waits.

        Raises:
            Unavailable: no instance could be reached; nothing was done.
            OutcomeUnknown: the connection broke or time ran out after the request left.
            RemoteError: the service refused; its status and code.
        """
        try:
            answer = await self._request_any(method, path, body, key, seconds_left(timeout))
        except ChatError as error:
            INTERNAL_CALLS.labels(self._target, error.code).inc()
            raise
        INTERNAL_CALLS.labels(self._target, "ok").inc()
        return answer

    async def _request_any(
        self, method: str, path: str, body: bytes | aiohttp.FormData | None, key: str | None, timeout: float
    ) -> bytes:
        for url in self.instances_for(key)[:2]:
            try:
                return await self._request_one(method, url + path, body, timeout)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                continue
            except TimeoutError as error:
                raise OutcomeUnknown(f"{self._target} did not answer in time") from error
            except aiohttp.ClientError as error:
                raise OutcomeUnknown(f"The connection to {self._target} broke") from error
        raise Unavailable(f"{self._target} is away for the moment; try again")

    async def _request_one(
        self, method: str, url: str, body: bytes | aiohttp.FormData | None, timeout: float
    ) -> bytes:
        if self._session is None:
            raise Unavailable(f"{self._target} is not connected yet")
        headers = {DEADLINE_HEADER: str(int(timeout * 1000)), REQUEST_ID_HEADER: request_id()}
        if isinstance(body, bytes):
            headers["content-type"] = "application/json"
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS)
        async with self._session.request(method, url, data=body, headers=headers, timeout=limits) as response:
            answer = await response.read()
            if response.status >= 400:
                raise _remote_error(response.status, answer)
            return answer


def _remote_error(status: int, body: bytes) -> ChatError:
    problem: dict[str, Any] = {}
    try:
        parsed = orjson.loads(body)
        problem = parsed if isinstance(parsed, dict) else {}
    except orjson.JSONDecodeError:
        pass
    return RemoteError(
        status,
        str(problem.get("code", "remote_error")),
        str(problem.get("message", "Another part of the service failed")),
        retryable=bool(problem.get("retryable", status >= 500)),
    )
