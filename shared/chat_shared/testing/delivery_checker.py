"""Compares what clients did and saw with the room log, in the manner of Jepsen's set and queue checkers.

lost        acknowledged, and not in the log
dup         one client message twice in the log, or acknowledged with two answers
unexpected  in the log, and never sent
order       an acknowledgement names another `seq` than the log, a message that was begun after another one's
            acknowledgement stands before it, or a client saw another message at a `seq`
gap         the log or a client skips a `seq`
phantom     a client saw what is not in the log
leak        somebody saw what they may not see; filled in by who removed them
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from chat_shared.testing.careful_client import ClientHistory, SentMessage

Log = dict[str, list[dict[str, Any]]]
"""Per room, all messages of the log as read at majority."""


@dataclass
class Verdict:
    """What is wrong, in words; all empty when every promise was kept."""

    lost: list[str] = field(default_factory=list)
    dup: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    gap: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    leak: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many of each there are."""
        return {each.name: len(getattr(self, each.name)) for each in fields(self)}

    def require_clean(self) -> None:
        """Raise an AssertionError that shows the first findings of each kind, if there are any."""
        findings = {
            each.name: getattr(self, each.name)[:3] for each in fields(self) if getattr(self, each.name)
        }
        assert not findings, f"{self.counts()}: {findings}"


def check_delivery(histories: Sequence[ClientHistory], log: Log) -> Verdict:
    """Return everything in which the histories and the log disagree."""
    verdict = Verdict()
    by_key = {_key(entry): entry for entries in log.values() for entry in entries}
    sent = [message for history in histories for message in history.sent]
    _check_log(log, {message.client_message_id for message in sent}, verdict)
    for message in sent:
        _check_sent(message, by_key.get((message.room_id, message.client_message_id)), verdict)
    _check_real_time(sent, verdict)
    for history in histories:
        for room_id, applied in history.applied.items():
            _check_applied(history.user_id, applied, log[room_id], verdict)
    return verdict


def _key(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["roomId"], entry["clientMessageId"]


def _check_log(log: Log, attempted: Iterable[str], verdict: Verdict) -> None:
    known = set(attempted)
    for room_id, entries in log.items():
        if [entry["seq"] for entry in entries] != list(range(1, len(entries) + 1)):
            verdict.gap.append(f"log of {room_id}")
        for key, count in Counter(_key(entry) for entry in entries).items():
            if count > 1:
                verdict.dup.append(f"{key} {count} times")
            if key[1] not in known:
                verdict.unexpected.append(str(key))


def _check_sent(message: SentMessage, entry: dict[str, Any] | None, verdict: Verdict) -> None:
    if message.ack is None:
        return
    if entry is None:
        verdict.lost.append(f"{message.room_id} {message.client_message_id}")
    elif (entry["seq"], entry["messageId"]) != (message.ack["seq"], message.ack["messageId"]):
        verdict.order.append(f"acknowledged {message.ack}, stored as {entry['seq']}")
    elif entry["content"] != message.content:
        verdict.unexpected.append(f"{message.client_message_id} with other content")


def _check_real_time(sent: Sequence[SentMessage], verdict: Verdict) -> None:
    """A message that was begun after another one was acknowledged stands behind it (real-time order)."""
    rooms: dict[str, list[tuple[float, int, int]]] = {}
    for message in sent:
        if message.ack is not None and message.acked_at is not None:
            moments = rooms.setdefault(message.room_id, [])
            moments += [(message.begun, 0, message.ack["seq"]), (message.acked_at, 1, message.ack["seq"])]
    for room_id, moments in rooms.items():
        highest = 0
        for _, is_ack, seq in sorted(moments):
            if is_ack:
                highest = max(highest, seq)
            elif seq <= highest:
                verdict.order.append(f"{room_id} {seq} was begun after {highest} was acknowledged")


def _check_applied(
    user_id: str, applied: list[dict[str, Any]], entries: list[dict[str, Any]], verdict: Verdict
) -> None:
    for expected_seq, message in enumerate(applied, start=1):
        where = f"{user_id} at {message['seq']}"
        if message["seq"] != expected_seq:
            verdict.gap.append(where)
        elif expected_seq > len(entries):
            verdict.phantom.append(where)
        elif entries[expected_seq - 1]["messageId"] != message["messageId"]:
            verdict.order.append(where)
