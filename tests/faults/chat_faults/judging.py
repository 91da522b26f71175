"""Everything that clients did and saw, compared with the log as it stands in the end."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from chat_shared.testing import ApiClient, User, eventually
from chat_shared.testing.delivery_checker import Verdict, check_delivery
from chat_shared.testing.room_log import read_log

from chat_faults.load import Load
from chat_faults.measure import behind

READ_SECONDS = 30.0
HEAD_SECONDS = 5.0
"""How long after healing every member must have everything."""


@dataclass
class Judgement:
    """What a run came to."""

    verdict: Verdict
    heads: dict[str, int]
    """By room, the last `seq` of the log."""
    findings: list[str] = field(default_factory=list)
    """Members that are behind, in words."""


async def judge(api: ApiClient, load: Load) -> Judgement:
    """Read every room's log, give its members time to reach its end, and check all histories against it."""
    log = await _read_logs(api, load)
    heads = {room_id: len(entries) for room_id, entries in log.items()}
    waits = [
        client.wait_applied({room: heads[room] for room in client.positions}, HEAD_SECONDS * 2)
        for client in load.clients
    ]
    outcomes = await asyncio.gather(*waits, return_exceptions=True)
    late = [f"a member is behind: {each!s:.300}" for each in outcomes if isinstance(each, BaseException)]
    # In a thread: while so many deliveries are compared, clients have heartbeats to answer.
    verdict = await asyncio.to_thread(check_delivery, load.histories, log)
    return Judgement(verdict, heads, [*late, *behind(load.crowd_histories, heads)])


async def _read_logs(api: ApiClient, load: Load) -> dict[str, list[dict[str, Any]]]:
    """Return the log of every room as a majority has it."""

    async def read(room_id: str, owner: User) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] | None = None

        async def attempt() -> bool:
            nonlocal entries
            entries = await read_log(api, owner, room_id)
            return True

        await eventually(attempt, READ_SECONDS, f"the log of {room_id}")
        assert entries is not None
        return entries

    logs = await asyncio.gather(*(read(room.id, room.owner) for room in load.all_rooms))
    return {room.id: entries for room, entries in zip(load.all_rooms, logs, strict=True)}
