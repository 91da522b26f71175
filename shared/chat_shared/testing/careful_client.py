"""The careful client of `examples/python`, with a history of all that it did and saw for `delivery_checker`.

`examples/python` is a member of the workspace for that, and a dependency of chat-local.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import careful_client

from chat_shared.ids import uuid7
from chat_shared.lifecycle import TaskSet
from chat_shared.testing.event_contract import check_acknowledgement, check_event

START_SECONDS = 30
PAGE = 50


@dataclass
class SentMessage:
    """One message from the moment somebody wanted to send it; times are monotonic seconds."""

    room_id: str
    client_message_id: str
    content: str
    begun: float
    ack: dict[str, Any] | None = None
    """The acknowledgement that said ok."""
    refused: str | None = None
    """The code of a refusal that no retry would change."""
    ended: float | None = None
    """When it was acknowledged or refused."""
    offered: float | None = None
    """When it went to the gateway for the first time, after its sender's earlier ones in that room."""
    attempts: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)
    """What each attempt came to, in order."""

    @property
    def acked_at(self) -> float | None:
        """When it was acknowledged, None for any other end."""
        return self.ended if self.ack is not None else None


@dataclass
class Reset:
    """A jump that the client was told of: what it goes on with, and when."""

    room_id: str
    position: int
    epoch: int | None
    at: float


@dataclass
class ClientHistory:
    """What one client did and saw."""

    user_id: str
    sent: list[SentMessage] = field(default_factory=list)
    applied: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Per room, the messages in the order in which the client showed them; a reset begins anew."""
    applied_at: dict[str, list[float]] = field(default_factory=dict)
    """When each of `applied` was shown, in monotonic seconds."""
    resets: list[Reset] = field(default_factory=list)
    connects: list[float] = field(default_factory=list)
    """When the client was let in, in monotonic seconds."""


class CarefulClient:
    """Stays connected to one URL, whatever dies behind it; as the example's application it notes all."""

    def __init__(self, url: str, user_id: str, token: str, room_ids: Sequence[str]) -> None:
        self.history = ClientHistory(
            user_id,
            applied={room_id: [] for room_id in room_ids},
            applied_at={room_id: [] for room_id in room_ids},
        )
        self.epoch: int | None = None
        self.positions = dict.fromkeys(room_ids, 0)
        self.outbox: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, Any] | None = None
        """What the server said when it did not want the client back."""
        self._token = token
        self._by_id: dict[str, SentMessage] = {}
        self._changed = asyncio.Event()
        self._tasks = TaskSet()
        self._client = _RecordedClient(url, self)

    @property
    def connects(self) -> int:
        """How often the client was let in."""
        return len(self.history.connects)

    def position(self, room_id: str) -> int:
        """Return the last `seq` applied in a room."""
        return self.positions.get(room_id, 0)

    async def start(self) -> None:
        """Connect, and again after every loss, until `stop`."""
        self._tasks.spawn(self._run(), name="careful-client")
        async with asyncio.timeout(START_SECONDS):
            await self._client.caught_up.wait()

    async def _run(self) -> None:
        self.ended = await self._client.run()

    async def stop(self) -> None:
        """Disconnect for good."""
        await self._tasks.cancel()

    async def send(self, room_id: str, content: str) -> SentMessage:
        """Send until it is acknowledged or refused for good; return what became of it."""
        sent = SentMessage(room_id, uuid7(), content, time.monotonic())
        self.history.sent.append(sent)
        self._by_id[sent.client_message_id] = sent
        payload = {"roomId": room_id, "content": content, "clientMessageId": sent.client_message_id}
        try:
            sent.ack = await self._client.send(payload)
        except ValueError as error:
            sent.refused = str(error)
        sent.ended = time.monotonic()
        del self._by_id[sent.client_message_id]
        return sent

    async def wait_applied(self, heads: Mapping[str, int], timeout: float) -> None:
        """Return when every room was applied up to its head.

        Raises:
            AssertionError: not within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while behind := {
                    room: self.position(room) for room in heads if self.position(room) < heads[room]
                }:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"behind after {timeout} s: {behind} of {heads}") from None

    def auth(self) -> dict[str, str]:
        """Say who connects."""
        return {"token": self._token}

    def on_message(self, message: dict[str, Any]) -> None:
        """Note a message that came in its turn."""
        self.history.applied.setdefault(message["roomId"], []).append(message)
        self.history.applied_at.setdefault(message["roomId"], []).append(time.monotonic())
        # Whoever waits for a position looks when this handler is done, so after the position moved.
        self._changed.set()

    def on_reset(self, room_id: str, head: int, epoch: int | None) -> int:
        """Forget a room and go on with its newest page."""
        position = max(head - PAGE, 0)
        self.history.resets.append(Reset(room_id, position, epoch, time.monotonic()))
        self.history.applied[room_id] = []
        self.history.applied_at[room_id] = []
        return position

    def note_answer(self, event: str, payload: dict[str, Any], answer: dict[str, Any]) -> None:
        """Note what an attempt to send came to."""
        if event == "send_message" and (sent := self._by_id.get(payload["clientMessageId"])):
            sent.attempts += 1
            sent.answers.append(answer)

    def note_offer(self, event: str, payload: dict[str, Any]) -> None:
        """Note that a message is on its way."""
        sent = self._by_id.get(payload["clientMessageId"]) if event == "send_message" else None
        if sent is not None and sent.offered is None:
            sent.offered = time.monotonic()

    def note_connect(self) -> None:
        """Note that the server let the client in."""
        self.history.connects.append(time.monotonic())


class _RecordedClient(careful_client.CarefulClient):
    """The example as it stands, with its attempts written down."""

    retry_seconds, reconnect_seconds, longest_seconds = 0.2, 0.3, 3.0

    def __init__(self, url: str, recorder: CarefulClient) -> None:
        super().__init__(url, recorder)
        self._recorder = recorder

    async def call(self, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        self._recorder.note_offer(event, payload)
        answer = await super().call(event, payload)
        self._recorder.note_answer(event, payload, answer)
        # Without a code it is the client's own: nobody answered.
        if answer["ok"] or "code" in answer["error"]:
            check_acknowledgement(event, answer)
        return answer

    async def _on_event(self, event: str, data: Any = None) -> None:
        check_event(event, data)
        await super()._on_event(event, data)

    async def catch_up(self, room_ids: Any) -> None:
        if room_ids is self._recorder.positions:  # all rooms: a new connection
            self._recorder.note_connect()
        await super().catch_up(room_ids)
