"""Reads what the load generator's connections did and saw into the histories that the checker knows.

The file is described in `bench/native/README.md`. Its times are those of `time.monotonic`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat_shared.testing.careful_client import ClientHistory, SentMessage

NS_PER_SECOND = 1e9


class BrokenHistory(Exception):
    """The file is not a whole history."""


@dataclass
class Seen:
    """All that the connections of one generator did and saw."""

    histories: list[ClientHistory]
    leaks: list[str] = field(default_factory=list)
    """Messages of rooms that the one who heard them is not in."""
    oddities: list[str] = field(default_factory=list)
    """Answers that no message has asked for, or a second one to the same message."""


def read_histories(path: Path, rooms: Sequence[tuple[str, Sequence[str]]]) -> Seen:
    """Return what stands in a file.

    Args:
        path: the file.
        rooms: the user and the rooms of each connection, in the order of the plan.

    Raises:
        BrokenHistory: lines are missing, or are not what the load generator writes.
    """
    *lines, last = path.read_text().splitlines() or [""]
    if last != f"end {len(lines)}":
        raise BrokenHistory(f"{path} has {len(lines)} lines and ends with {last[:100]!r}")
    reader = _Reader(rooms)
    for line in lines:
        reader.take(line)
    return reader.seen


class _Reader:
    """Takes line after line."""

    def __init__(self, rooms: Sequence[tuple[str, Sequence[str]]]) -> None:
        self.seen = Seen([_empty(user_id, room_ids) for user_id, room_ids in rooms])
        self._messages: dict[int, SentMessage] = {}
        self._words: dict[str, str] = {}
        self._readers = {
            "sent": self._sent,
            "acked": self._acked,
            "refused": self._refused,
            "heard": self._heard,
        }

    def take(self, line: str) -> None:
        """Take a line.

        Raises:
            BrokenHistory: it is none.
        """
        try:
            kind, at, user, rest = line.split(" ", 3)
            self._readers[kind](self.seen.histories[int(user)], int(at) / NS_PER_SECOND, rest)
        except (ValueError, LookupError) as error:
            raise BrokenHistory(f"no line of a history: {line[:100]!r}") from error

    def _once(self, word: str) -> str:
        """Keep one copy of an id: each connection that heard the message names it again."""
        return self._words.setdefault(word, word)

    def _sent(self, history: ClientHistory, at: float, rest: str) -> None:
        number, room_id, key, content = rest.split(" ", 3)
        message = SentMessage(self._once(room_id), self._once(key), content, at, offered=at, attempts=1)
        history.sent.append(message)
        self._messages[int(number)] = message

    def _acked(self, _history: ClientHistory, at: float, rest: str) -> None:
        number, seq, message_id, novelty = rest.split(" ")
        ack = {
            "ok": True,
            "seq": int(seq),
            "messageId": self._once(message_id),
            "duplicate": novelty == "duplicate",
        }
        if message := self._answered(int(number), ack):
            message.ack, message.ended = ack, at

    def _refused(self, _history: ClientHistory, at: float, rest: str) -> None:
        number, code, finality = rest.split(" ")
        is_final = finality == "final"
        error = {"code": code, "retryable": not is_final}
        message = self._answered(int(number), {"ok": False, "error": error})
        if message and is_final:
            message.refused, message.ended = code, at

    def _answered(self, number: int, answer: dict[str, Any]) -> SentMessage | None:
        """Return the message that was waiting for this answer."""
        message = self._messages.get(number)
        if message is None or message.answers:
            self.seen.oddities.append(f"{answer} to the message {number}, which does not wait for it")
            return None
        message.answers.append(answer)
        return message

    def _heard(self, history: ClientHistory, at: float, rest: str) -> None:
        room_id, seq, message_id, key = rest.split(" ")
        if room_id not in history.applied:
            self.seen.leaks.append(f"{history.user_id} heard {message_id} of {room_id}")
            return
        history.applied[room_id].append(
            {
                "roomId": self._once(room_id),
                "seq": int(seq),
                "messageId": self._once(message_id),
                "clientMessageId": self._once(key),
            }
        )
        history.applied_at[room_id].append(at)


def _empty(user_id: str, room_ids: Sequence[str]) -> ClientHistory:
    applied: dict[str, list[dict[str, Any]]] = {room_id: [] for room_id in room_ids}
    return ClientHistory(user_id, applied=applied, applied_at={room_id: [] for room_id in room_ids})
