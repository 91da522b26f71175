"""Many members who talk faster than clients in Python could: the load generator of the benchmark is them.

It keeps what each of them did and saw, and the checker compares that like the history of any client.
"""

import asyncio
from collections import Counter
from pathlib import Path

from chat_bench import native
from chat_bench.figures import Arrivals
from chat_bench.figures import Run as Talk
from chat_bench.generator import Client, Generator
from chat_shared.testing.careful_client import SentMessage

from chat_faults.fault import Run
from chat_faults.generator_history import Seen, read_histories
from chat_faults.load import Crowd

CONNECTS_PER_SECOND = 50.0
MESSAGE_SIZE = 100
LATE_SECONDS = 20.0
"""How much longer than usual to wait where something has not arrived: more than any deadline on its way."""

ACKED, UNKNOWN = "acked", "unknown"


async def talk(run: Run) -> Talk:
    """Let the crowd of the run talk, and hand what it did and saw to the checker.

    Raises:
        BenchError: the load generator is missing or fails.
        BrokenHistory: it did not write all down.
    """
    crowd = run.load.crowd
    assert crowd is not None
    await native.build()
    folder = run.rig.folder / "crowd"
    folder.mkdir(exist_ok=True)
    urls = [run.rig.process(name).url for name in run.rig.instances("gateway-ws")]
    members = [(user, [room.id]) for room in run.load.crowd_rooms for user in room.members]
    clients = [Client(user.access_token, room_ids) for user, room_ids in members]
    async with Generator(folder, urls, clients) as generator:
        path = (folder / "history").absolute()
        arrivals, told = await _talk(generator, crowd, path)
    seen = await asyncio.to_thread(read_histories, path, [(user.id, room_ids) for user, room_ids in members])
    _hand_over(run, seen)
    run.require(arrivals.joined == crowd.people, f"{arrivals.joined} of {crowd.people} joined")
    run.require(not told.disconnects, f"{told.disconnects} connections ended")
    return told


async def _talk(generator: Generator, crowd: Crowd, history: Path) -> tuple[Arrivals, Talk]:
    await generator.record()
    arrivals = await generator.connect(CONNECTS_PER_SECOND)
    told = await generator.run(crowd.rate, crowd.seconds, MESSAGE_SIZE, warmup=0)
    if told.lost or told.acked < told.sent:  # what was answered `unknown` may still be stored
        await generator.idle(LATE_SECONDS)
    await generator.write_history(history)
    await generator.close()
    return arrivals, told


def _hand_over(run: Run, seen: Seen) -> None:
    run.load.crowd_histories += seen.histories
    run.leaks += seen.leaks
    run.findings += seen.oddities


def note_counts(run: Run, told: Talk) -> None:
    """Note what was offered and what became of it, as the histories say, and how long that took."""
    sent = [message for history in run.load.crowd_histories for message in history.sent]
    outcomes = Counter(_outcome(message) for message in sent)
    heard = sum(len(applied) for each in run.load.crowd_histories for applied in each.applied.values())
    run.require(outcomes[ACKED] > 0, "no message of the crowd was acknowledged: nothing is proved")
    run.note("offered", told.rate, "messages/s")
    run.note("sent", len(sent), "messages")
    for outcome in (ACKED, UNKNOWN, *sorted(outcomes.keys() - {ACKED, UNKNOWN})):
        run.note(outcome, outcomes[outcome], "messages")
    run.note("delivered", heard, "messages")
    for name, latency in (("ack", told.ack_ms), ("delivery", told.delivery_ms)):
        run.note(f"{name} p50 from when it was due", latency.p50 or 0.0, "ms")
        run.note(f"{name} p99 from when it was due", latency.p99 or 0.0, "ms")
    run.note("p99 of how late the load generator sent", told.lateness_ms.p99 or 0.0, "ms")


def _outcome(message: SentMessage) -> str:
    """Return what its sender knows of a message: no answer in time leaves as much open as `unknown` does."""
    if message.ack is not None:
        return ACKED
    code = message.answers[0]["error"]["code"] if message.answers else UNKNOWN
    return UNKNOWN if code == UNKNOWN else f"refused as {code}"
