"""What was promised to whom, and the log as it was read last: every comparison that must hold."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from chat_shared.contracts.internal import SendResult

from .processes import Message

ReadLog = Callable[[str, int], Awaitable[list[dict[str, Any]]]]
CONFLICT = "idempotency_conflict"


class Promises:
    """The model. Every method raises an AssertionError where the system broke its word."""

    def __init__(self, room_ids: list[str], read_log: ReadLog) -> None:
        """`read_log(room_id, after)` returns all messages that a majority has behind a `seq`."""
        self._read_log = read_log
        self._log: dict[str, list[dict[str, Any]]] = {room_id: [] for room_id in room_ids}
        self._reading = asyncio.Lock()
        self._keys: set[tuple[str, str, str]] = set()
        self._attempted: dict[tuple[str, str, str], set[str]] = {}
        self._acked: dict[tuple[str, str, str], tuple[str, int]] = {}
        self._unchecked: list[tuple[Message, SendResult]] = []
        self._highest_acked: dict[str, int] = dict.fromkeys(room_ids, 0)

    def head(self, room_id: str) -> int:
        return len(self._log[room_id])

    def entry(self, room_id: str, seq: int) -> dict[str, Any]:
        return self._log[room_id][seq - 1]

    async def read_on(self, room_id: str) -> None:
        """Read what is new: dense, one entry per client message, nothing that nobody sent."""
        async with self._reading:
            await self._read_on(room_id)

    async def _read_on(self, room_id: str) -> None:
        known = self._log[room_id]
        for view in await self._read_log(room_id, len(known)):
            key = (room_id, view["senderId"], view["clientMessageId"])
            assert view["seq"] == len(known) + 1, f"a hole in the log before {view['seq']}"
            assert key not in self._keys, f"twice in the log: {key}"
            assert view["content"] in self._attempted.get(key, ()), f"nobody sent {view}"
            self._keys.add(key)
            known.append(view)

    async def read_again(self, room_id: str) -> None:
        """Read everything again: what was there stays, as it was."""
        await self.read_on(room_id)
        assert await self._read_log(room_id, 0) == self._log[room_id], "the log has changed"

    def begins(self, message: Message) -> int:
        """Note an attempt; return the `seq` that a new entry has to be above."""
        self._attempted.setdefault(_key(message), set()).add(message.text)
        return self._highest_acked[message.room_id]

    def answered(self, message: Message, result: SendResult, floor: int) -> None:
        """Take an answer: it has to be the one that was given before, if there was any."""
        if result.error is not None:
            assert result.error.retryable or result.error.code == CONFLICT, result.error
            if result.error.retryable:
                return
        else:
            assert result.seq is not None
            answer = (str(result.message_id), result.seq)
            assert self._acked.setdefault(_key(message), answer) == answer, f"two answers for {message}"
            assert result.duplicate or result.seq > floor, f"after {floor} was acknowledged: {result}"
            self._highest_acked[message.room_id] = max(self._highest_acked[message.room_id], result.seq)
        self._unchecked.append((message, result))

    async def check_answers(self) -> None:
        """Compare the answers since the last time with the log."""
        unchecked, self._unchecked = self._unchecked, []
        for room_id in {message.room_id for message, _ in unchecked}:
            await self.read_on(room_id)
        for message, result in unchecked:
            if result.error is not None:
                assert _key(message) in self._keys, f"a conflict with what is not in the log: {message}"
                continue
            assert result.seq is not None
            assert result.seq <= self.head(message.room_id), f"acknowledged and not in the log: {result}"
            stored = self.entry(message.room_id, result.seq)
            assert stored["messageId"] == result.message_id, f"acknowledged {result}, stored {stored}"
            assert (stored["clientMessageId"], stored["content"]) == (message.client_message_id, message.text)

    async def delivered(self, view: dict[str, Any]) -> None:
        """Compare what a client was sent with what a majority has."""
        room_id, seq = view["roomId"], view["seq"]
        if seq > self.head(room_id):
            await self.read_on(room_id)
        assert seq <= self.head(room_id), f"delivered and not in the log: {view}"
        assert view == self.entry(room_id, seq), f"delivered {view}, stored {self.entry(room_id, seq)}"


def _key(message: Message) -> tuple[str, str, str]:
    return message.room_id, message.sender_id, message.client_message_id
