"""The socket side of a test: a stock Socket.IO client that writes down all it receives."""

import asyncio
from collections.abc import Callable
from typing import Any

import socketio
from socketio.exceptions import ConnectionError as ConnectFailed

from chat_shared.testing.event_contract import check_acknowledgement, check_event

CONNECT_SECONDS = 10.0
WAIT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
WEBSOCKET_ONLY = ("websocket",)

Predicate = Callable[[Any], bool]


def _any(_payload: Any) -> bool:
    return True


class ConnectRefused(Exception):
    """The server did not let the socket in; `details` is what `connect_error` carried."""

    def __init__(self, details: Any) -> None:
        super().__init__(str(details))
        self.details = details

    @property
    def code(self) -> str | None:
        """The stable reason, where the server gave one."""
        data = self.details.get("data") if isinstance(self.details, dict) else None
        return data.get("code") if isinstance(data, dict) else None


class SocketClient:
    """One connection of a stock client.

    `received` holds every event in the order of arrival; nothing reconnects by itself. What is not as
    documented fails the test at its end.
    """

    def __init__(self) -> None:
        self._client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        self._changed = asyncio.Event()
        self._refusal: Any = None
        self.received: list[tuple[str, Any]] = []
        self.disconnected = asyncio.Event()
        self._client.on("*", self._record)
        self._client.on("disconnect", self._note_disconnect)
        self._client.on("connect_error", self._note_refusal)

    @property
    def transport(self) -> str:
        """The transport in use: polling or websocket."""
        return str(self._client.transport())

    @property
    def connected(self) -> bool:
        """Whether the server and we believe in the connection."""
        return not self.disconnected.is_set() and bool(self._client.connected)

    async def connect(
        self,
        url: str,
        token: str | None,
        transports: tuple[str, ...] | None = WEBSOCKET_ONLY,
        auth: Any = None,
    ) -> "SocketClient":
        """Connect, and return when the server has let us in.

        Args:
            url: of the installation or of one gateway.
            token: an access token.
            transports: None is the stock order: polling, then an upgrade to WebSocket.
            auth: the whole `auth` payload instead of `{token}`.

        Raises:
            ConnectRefused: with the reason that the server gave.
        """
        payload = auth if auth is not None else {"token": token}
        try:
            await self._client.connect(
                url,
                auth=payload,
                transports=list(transports) if transports else None,
                wait_timeout=CONNECT_SECONDS,
            )
        except ConnectFailed as error:
            raise ConnectRefused(self._refusal if self._refusal is not None else str(error)) from error
        return self

    async def emit(self, event: str, payload: Any = None) -> None:
        """Send an event and ask for no acknowledgement."""
        await self._client.emit(event, payload)

    async def call(
        self, event: str, payload: Any = None, timeout: float = WAIT_SECONDS * 2
    ) -> dict[str, Any]:
        """Send an event and return its acknowledgement."""
        answer = await self._client.call(event, payload, timeout=timeout)
        assert isinstance(answer, dict), f"{event} was acknowledged with {answer!r}"
        check_acknowledgement(event, answer)
        return answer

    async def done(self, event: str, payload: Any = None) -> dict[str, Any]:
        """Send an event that has to work, and return its acknowledgement."""
        answer = await self.call(event, payload)
        assert answer["ok"] is True, f"{event} was refused: {answer}"
        return answer

    async def refused(self, event: str, payload: Any = None) -> dict[str, Any]:
        """Send an event that has to be refused, and return `{code, message, retryable}`."""
        answer = await self.call(event, payload)
        assert answer["ok"] is False, f"{event} was not refused: {answer}"
        assert set(answer) == {"ok", "error"}
        error: dict[str, Any] = answer["error"]
        assert set(error) == {"code", "message", "retryable"}
        return error

    def events(self, name: str, predicate: Predicate = _any) -> list[Any]:
        """Return the payloads of all events of this name so far, in order."""
        return [payload for event, payload in self.received if event == name and predicate(payload)]

    async def wait_for(self, event: str, predicate: Predicate = _any, timeout: float = WAIT_SECONDS) -> Any:
        """Return the payload of the first such event since `connect`, past ones included."""
        return (await self.wait_for_many(event, 1, predicate, timeout))[0]

    async def wait_for_many(
        self,
        event: str,
        count: int,
        predicate: Predicate = _any,
        timeout: float = WAIT_SECONDS,
    ) -> list[Any]:
        """Return the payloads of all such events as soon as there are `count` of them.

        Raises:
            AssertionError: too few within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while len(found := self.events(event, predicate)) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            names = [name for name, _ in self.received]
            raise AssertionError(
                f"{len(found)} of {count} {event} within {timeout} s; received: {names}"
            ) from None
        return found

    async def wait_disconnected(self, timeout: float = WAIT_SECONDS) -> None:
        """Return when the connection has ended.

        Raises:
            AssertionError: it goes on.
        """
        try:
            await asyncio.wait_for(self.disconnected.wait(), timeout)
        except TimeoutError:
            raise AssertionError(f"still connected after {timeout} s") from None

    async def disconnect(self) -> None:
        """Say goodbye; nothing happens when the connection has ended."""
        if self._client.eio.state == "connected":
            await self._client.disconnect()

    def cut(self) -> None:
        """Abort the TCP connection without a goodbye, as a lost network does; WebSocket only."""
        self._client.eio.ws._conn.transport.abort()

    def _record(self, event: str, payload: Any = None, *_more: Any) -> None:
        self.received.append((event, payload))
        check_event(event, payload)
        self._changed.set()

    def _note_disconnect(self, _reason: Any = None) -> None:
        self.disconnected.set()

    def _note_refusal(self, details: Any = None) -> None:
        self._refusal = details
        # Without a connection to the server it is the library's own text.
        if isinstance(details, dict):
            check_event("connect_error", details)
