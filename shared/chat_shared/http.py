"""Calls to other services: JSON over HTTP with service token, request id, deadline and clear failures."""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPMethod
from typing import Any, TypeAlias, TypeVar

import aiohttp
import orjson
from aiohttp.hdrs import CONNECTION
from pydantic import BaseModel

from chat_shared.discovery import Discovery
from chat_shared.errors import ChatError, OutcomeUnknown, RemoteError, Unavailable
from chat_shared.instances import Instances
from chat_shared.leaving import ROUTABLE_PATH
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from chat_shared.metrics import INTERNAL_CALLS, begin_at_zero
from chat_shared.request_context import DEADLINE_HEADER, REQUEST_ID_HEADER, request_id, seconds_left
from chat_shared.tracing import TRACEPARENT, current_traceparent

SERVICE_TOKEN_HEADER = "x-service-token"  # noqa: S105 - the header's name, not a token
CONNECT_SECONDS = 1.0
DEFAULT_SECONDS = 5.0
AVOID_SECONDS = 10.0
"""How long an instance that does not answer is left alone before it is probed, and between probes."""
PROBE_SECONDS = 1.0
TELLING_SECONDS = 1.0
"""Who had less time than this to answer has not shown anything by not answering."""

log = get_logger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)
Body: TypeAlias = bytes | aiohttp.FormData | None


class ServiceClient:
    """Talks to all instances of one service.

    A call goes to one instance. Another one is asked, once, when no connection could be made, so that the
    request cannot have arrived; and when a call that only reads gets no answer. Nothing else is repeated
    here: the caller knows what is safe.

    An instance that does not answer in time, or cannot be reached, is asked after the others from then on:
    a frozen process takes connections like any other. It is probed in the background, so that no call has
    to find out whether it is back.
    """

    def __init__(self, target: str, urls: Sequence[str], service_token: str) -> None:
        """Args:
        target: names the service in errors and metrics.
        urls: its instances' base URLs, or names that they are found by (`discovery.BY_NAME`).
        """
        self._target = target
        begin_at_zero(INTERNAL_CALLS, [target], ["ok", Unavailable.code, OutcomeUnknown.code])
        self._instances = Instances([])
        self._discovery = Discovery(urls, self._instances.replace)
        self._instances.replace(self._discovery.current)
        self._token = service_token
        self._session: aiohttp.ClientSession | None = None
        self._probes = TaskSet()

    async def start(self) -> None:
        """Open the connection pool, and find the instances."""
        await self._discovery.start()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=30, ttl_dns_cache=10),
            headers={SERVICE_TOKEN_HEADER: self._token},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def stop(self) -> None:
        """Close the connection pool."""
        await self._discovery.stop()
        await self._probes.cancel()
        if self._session is not None:
            await self._session.close()

    def home(self, key: str) -> str:
        """Return the instance that calls with this key go to while it answers."""
        return self._instances.home(key)

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
        only_reads: bool = False,
    ) -> ModelT:
        """POST `body` to `path` and parse the answer; see `request` for what it raises."""
        payload = body.model_dump_json(exclude_none=True).encode()
        return answer.model_validate_json(
            await self.request("POST", path, payload, key=key, timeout=timeout, only_reads=only_reads)
        )

    async def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        key: str | None = None,
        timeout: float = DEFAULT_SECONDS,
        only_reads: bool = False,
    ) -> bytes:
        """Call the service and return the body of its answer.

        Args:
            body: JSON bytes, or a form for an upload.
            key: calls with the same key prefer the same instance.
            timeout: seconds to wait at most; never longer than the caller of this request waits.
            only_reads: the call changes nothing, as a GET never does; where there are several instances, one
                has half of the time to answer before another one is asked.

        Raises:
            Unavailable: no instance could be reached; nothing was done.
            OutcomeUnknown: the connection broke or time ran out after the request left.
            RemoteError: the service refused; its status and code.
        """
        try:
            urls = self._instances.in_order(key)[:2]
            if only_reads or method == HTTPMethod.GET:
                answer = await self._read_any(method, path, body, urls, seconds_left(timeout))
            else:
                answer = await self._request_any(method, path, body, urls, seconds_left(timeout))
        except ChatError as error:
            INTERNAL_CALLS.labels(self._target, error.code).inc()
            raise
        INTERNAL_CALLS.labels(self._target, "ok").inc()
        return answer

    async def _read_any(
        self, method: str, path: str, body: Body, urls: Sequence[str], timeout: float
    ) -> bytes:
        deadline = time.monotonic() + timeout
        for url in urls[:-1]:
            try:
                return await self._request_any(method, path, body, [url], timeout / 2)
            except (OutcomeUnknown, Unavailable):
                continue
        return await self._request_any(method, path, body, urls[-1:], deadline - time.monotonic())

    async def _request_any(
        self, method: str, path: str, body: Body, urls: Sequence[str], timeout: float
    ) -> bytes:
        """Return the answer of the first instance that can be reached."""
        deadline = time.monotonic() + timeout
        for url in urls:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return await self._request_one(method, url, path, body, left)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                self._avoid(url)
            except TimeoutError as error:
                if left >= TELLING_SECONDS:
                    self._avoid(url)
                raise OutcomeUnknown(f"{self._target} did not answer in time") from error
            except aiohttp.ClientError as error:
                raise OutcomeUnknown(f"The connection to {self._target} broke") from error
        raise Unavailable(f"{self._target} is away for the moment; try again")

    def _avoid(self, url: str) -> None:
        if self._instances.avoid(url):
            log.warning("instance does not answer", target=self._target, url=url)
            self._probes.spawn(self._probe_until_it_answers(url), name="instance-probe")

    async def _probe_until_it_answers(self, url: str) -> None:
        while url in self._instances:
            await asyncio.sleep(AVOID_SECONDS)
            try:
                await self._request_one(HTTPMethod.GET, url, ROUTABLE_PATH, None, PROBE_SECONDS)
            except (TimeoutError, aiohttp.ClientError, ChatError):
                continue
            self._instances.trust(url)
            log.info("instance answers again", target=self._target, url=url)
            return

    async def _request_one(self, method: str, base: str, path: str, body: Body, timeout: float) -> bytes:
        if self._session is None:
            raise Unavailable(f"{self._target} is not connected yet")
        headers = {DEADLINE_HEADER: str(int(timeout * 1000)), REQUEST_ID_HEADER: request_id()}
        if (trace := current_traceparent()) is not None:
            headers[TRACEPARENT] = trace
        if isinstance(body, bytes):
            headers["content-type"] = "application/json"
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS)
        async with self._session.request(
            method, base + path, data=body, headers=headers, timeout=limits
        ) as response:
            answer = await response.read()
            if "close" in response.headers.get(CONNECTION, "").lower():
                self._avoid(base)  # it is about to stop; whoever asks it last meets a closed door
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
