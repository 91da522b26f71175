"""Figures from the histories of clients and from the operating system."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from chat_bench import accounting
from chat_shared.testing.careful_client import ClientHistory, SentMessage

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Figure:
    """One measured number, and how it compares with its goal."""

    name: str
    value: float
    unit: str = "s"
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal was met; None for a figure without one."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    def __str__(self) -> str:
        goal = f" (≤ {self.at_most:g})" if self.at_most is not None else ""
        goal = f" (≥ {self.at_least:g})" if self.at_least is not None else goal
        mark = " NOT MET" if self.met is False else ""
        value = f"{self.value:,.0f}" if abs(self.value) >= 1_000 else f"{self.value:.3g}"
        return f"{self.name}: {value} {self.unit}{goal}{mark}"


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie; 0 for none at all."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def ack_times(sent: Iterable[SentMessage], begin: float, end: float) -> list[float]:
    """Return how long the messages that were begun in a window took to be acknowledged, retries included."""
    return [
        message.acked_at - message.begun
        for message in sent
        if message.acked_at is not None and begin <= message.begun < end
    ]


def longest_silence(sent: Iterable[SentMessage], begin: float, end: float) -> float:
    """Return the longest time in a window without any acknowledgement."""
    acked = sorted(m.acked_at for m in sent if m.acked_at is not None and begin <= m.acked_at <= end)
    edges = [begin, *acked, end]
    return max(later - earlier for earlier, later in pairwise(edges))


def delivery_times(histories: Sequence[ClientHistory], begin: float, end: float) -> list[float]:
    """Return, for each message acknowledged in a window and each client, from acknowledgement to display."""
    acked = {
        message.client_message_id: message.acked_at
        for history in histories
        for message in history.sent
        if message.acked_at is not None and begin <= message.acked_at < end
    }
    return [
        max(0.0, at - acked[message["clientMessageId"]])
        for history in histories
        for room_id, applied in history.applied.items()
        for message, at in zip(applied, history.applied_at.get(room_id, []), strict=False)
        if message["clientMessageId"] in acked
    ]


def catch_up_times(
    writers: Sequence[ClientHistory], readers: Sequence[ClientHistory], healed_at: float
) -> list[float]:
    """Return, per reader and room, how long after healing it showed all that was acknowledged until then.

    A reader that never showed it counts with an hour.
    """
    targets: dict[str, int] = {}
    for history in writers:
        for message in history.sent:
            if message.ack is not None and message.acked_at is not None and message.acked_at <= healed_at:
                targets[message.room_id] = max(targets.get(message.room_id, 0), message.ack["seq"])
    times = []
    for history in readers:
        for room_id, applied in history.applied.items():
            target = targets.get(room_id, 0)
            if target:
                shown = history.applied_at.get(room_id, [])
                at = shown[target - 1] if len(applied) >= target else healed_at + 3600
                times.append(max(0.0, at - healed_at))
    return times


def behind(readers: Iterable[ClientHistory], heads: Mapping[str, int]) -> list[str]:
    """Return in words who has not seen a room to the end of its log."""
    return [
        f"a member is behind: {history.user_id} saw {len(applied)} of {heads[room_id]} in {room_id}"
        for history in readers
        for room_id, applied in history.applied.items()
        if len(applied) < heads[room_id]
    ]


def return_times(histories: Sequence[ClientHistory], begin: float) -> list[float]:
    """Return when, after `begin`, those clients were let in again that had to connect anew."""
    firsts = (next((at for at in history.connects if at > begin), None) for history in histories)
    return [at - begin for at in firsts if at is not None]


def rss(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    return accounting.cpu_seconds(Path(f"/proc/{pid}/stat").read_text())


def open_files(pid: int) -> int:
    """Return how many file descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
