"""A soak: faults drawn at random for many minutes, then everybody leaves and nothing may be left behind."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat_shared.testing import ApiClient, eventually
from redis.asyncio import Redis

from chat_faults.effects import queue_depths
from chat_faults.fault import Fault
from chat_faults.inspection import metric
from chat_faults.measure import MIB, Figure, open_files, rss
from chat_faults.report import details_of, line_of
from chat_faults.rig import Rig, start_rig
from chat_faults.runner import Result, Runner

SETTLE_SECONDS = 60.0
"""After this, presence, lingering rooms and idle connections are over."""


@dataclass(frozen=True)
class Snapshot:
    """What the system holds while nobody is there."""

    memory: dict[str, float]
    """MiB of each process."""
    files: dict[str, int]
    tasks: dict[str, float]
    redis_keys: dict[str, int]
    """By the part of the key before the last colon."""
    queues: dict[str, int]


async def take_snapshot(rig: Rig, api: ApiClient) -> Snapshot:
    """Return what is held right now."""
    services = [name for name in rig.names if "-" in name and not name.startswith("mongod")]
    pids = {name: rig.process(name).pid for name in rig.names}
    return Snapshot(
        {name: rss(pid) / MIB for name, pid in pids.items()},
        {name: open_files(pid) for name, pid in pids.items()},
        {name: await metric(api, rig, [name], "chat_tasks") for name in services},
        await _keys(rig.redis_url),
        await queue_depths(rig.amqp_url, dead=False),
    )


async def _keys(redis_url: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        async for key in redis.scan_iter(count=1_000):
            kind = key.rpartition(":")[0] or key
            counts[kind] = counts.get(kind, 0) + 1
    return counts


async def soak(
    folder: Path, faults: Sequence[Fault], seed: int, seconds: float, say: Callable[[str], Any]
) -> list[Result]:
    """Run faults drawn with `seed` until `seconds` are over; compare what is held before and after."""
    rng = random.Random(seed)
    async with start_rig(folder, str(seed)) as rig, ApiClient(rig.url) as api:
        runner = Runner(rig, api)
        # Each of them once fills caches and pools: the baseline is a warm one.
        results = [await runner.run(fault, seed) for fault in faults]
        await _all_gone(rig, api)
        before = await take_snapshot(rig, api)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            result = await runner.run(rng.choice(list(faults)), rng.randrange(1_000_000))
            results.append(result)
            say("\n".join([line_of(result), *details_of(result)]))
        await _all_gone(rig, api)
        after = await take_snapshot(rig, api)
    for line in compare(before, after):
        say(line)
    results[-1].figures += _growth(before, after)
    return results


async def _all_gone(rig: Rig, api: ApiClient) -> None:
    names = rig.instances("gateway-ws")

    async def nobody() -> bool:
        return not await metric(api, rig, names, "chat_gateway_connections")

    await eventually(nobody, SETTLE_SECONDS, "no more sockets")
    await asyncio.sleep(SETTLE_SECONDS)


def compare(before: Snapshot, after: Snapshot) -> list[str]:
    """Return what each process held before and holds after, a line each."""
    lines = ["process: memory MiB, open files, tasks (before → after)"]
    for name, memory in before.memory.items():
        tasks = f", {before.tasks[name]:g} → {after.tasks[name]:g}" if name in before.tasks else ""
        lines.append(
            f"  {name}: {memory:.0f} → {after.memory[name]:.0f}, "
            f"{before.files[name]} → {after.files[name]}{tasks}"
        )
    lines.append(f"  Redis keys: {before.redis_keys} → {after.redis_keys}")
    lines.append(f"  RabbitMQ queues: {before.queues} → {after.queues}")
    return lines


def _growth(before: Snapshot, after: Snapshot) -> list[Figure]:
    files = max(after.files[name] - count for name, count in before.files.items())
    tasks = max(after.tasks[name] - count for name, count in before.tasks.items())
    memory = max(after.memory[name] - mib for name, mib in before.memory.items() if name in before.tasks)
    return [
        Figure("most open files gained by a process", files, "files", at_most=10),
        Figure("most tasks gained by a process", tasks, "tasks", at_most=5),
        Figure("most memory gained by a service process", memory, "MiB"),
        Figure("messages left in queues", sum(after.queues.values()), "messages", at_most=0),
    ]
