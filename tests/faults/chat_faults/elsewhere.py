"""`make verify URL=…`: load on an installation that runs somewhere, for as long as its operator breaks it.

Nothing is broken from here. What was acknowledged meanwhile has to be in the log and with every member.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain

from chat_shared.testing import ApiClient, User

from chat_faults.judging import judge
from chat_faults.load import Load, Profile, make_users
from chat_faults.measure import Figure, ack_times, longest_silence, percentile
from chat_faults.report import counts_line, findings_of
from chat_faults.rest_watch import RestWatch

PROFILE = Profile(clients=20, rooms=10, members=6, hot_members=12, rate=40.0)
PROGRESS_SECONDS = 5.0
MAX_MINUTES = 10
"""Access tokens live for fifteen, and the clients do not renew theirs."""
END_SECONDS = 30.0
"""How long after the last message every one must have ended."""


async def verify_elsewhere(
    url: str, seconds: float, factor: float, seed: str, say: Callable[[str], None]
) -> bool:
    """Talk for a while, then compare what clients saw with the log; tell whether every promise was kept.

    Args:
        url: the installation's one URL.
        seconds: how long to talk.
        factor: of the usual load, 20 clients with 40 messages per second.
        seed: decides who says what when.
        say: takes lines for whoever watches.
    """
    profile = PROFILE.scaled(factor)
    async with ApiClient(url) as api, some_users(api, profile.people, say) as users:
        load = Load(api, url, users, profile, seed, f"verify {secrets.token_hex(3)}")
        async with cleaned_up(load.close, say):
            await load.prepare()
            say(f"{profile.clients} clients, {profile.rooms + 1} rooms, {profile.rate:g} messages per second")
            return await _talk_and_judge(api, load, seconds, say)


async def _talk_and_judge(api: ApiClient, load: Load, seconds: float, say: Callable[[str], None]) -> bool:
    rest = RestWatch(api, load.hot_room.owner, load.hot_room.id)
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(rest.run())
        load.begin()
        await _watch(load, began + seconds, say)
        await load.end()
        asking.cancel()
    findings = await _settle(load)
    judgement = await judge(api, load)
    refused = {sent.refused for sent in load.sent if sent.refused}
    findings += [*judgement.findings, *(f"refused: {why}" for why in sorted(refused))]
    for line in [*findings_of(judgement.verdict, findings), *map(str, _figures(load, began, rest))]:
        say(f"  {line}")
    say(f"{len(load.sent)} messages: {counts_line(judgement.verdict.counts())}")
    return not findings and not any(judgement.verdict.counts().values())


@asynccontextmanager
async def cleaned_up(
    clean_up: Callable[[], Awaitable[None]], say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Clean up afterwards; where that fails while things are broken it is said, and no verdict is lost."""
    try:
        yield
    finally:
        try:
            await clean_up()
        except Exception as error:
            say(f"left behind: {error!r:.200}")


@asynccontextmanager
async def some_users(api: ApiClient, count: int, say: Callable[[str], None]) -> AsyncIterator[list[User]]:
    """Accounts that are deleted in the end."""
    users = await make_users(api, count, f"verify{secrets.token_hex(4)}")

    async def delete() -> None:
        for user in users:
            await api.send("DELETE", "/auth/me", user, json={"password": user.password})

    async with cleaned_up(delete, say):
        yield users


async def _watch(load: Load, until: float, say: Callable[[str], None]) -> None:
    """Say now and then how it goes."""
    while (now := time.monotonic()) < until:
        await asyncio.sleep(min(PROGRESS_SECONDS, until - now))
        acked = ack_times(load.sent, now, time.monotonic())
        waiting, reconnects = load.unanswered, _reconnects(load)
        slowest = percentile(acked, 0.99)
        say(f"  {len(load.sent)} sent, {waiting} unanswered, p99 {slowest:.3f} s, {reconnects} reconnects")


async def _settle(load: Load) -> list[str]:
    unended = await load.settle(END_SECONDS)
    if not unended:
        return []
    await load.give_up()
    return [f"{unended} messages had no end {END_SECONDS:g} s after the last one was sent"]


def _figures(load: Load, began: float, rest: RestWatch) -> list[Figure]:
    now = time.monotonic()
    acked = ack_times(load.sent, began, now)
    repeats = sum(max(0, sent.attempts - 1) for sent in load.sent)
    last = max(chain((sent.ended or began for sent in load.sent), [began]))
    return [
        Figure("ack p50", percentile(acked, 0.5)),
        Figure("ack p99", percentile(acked, 0.99)),
        Figure("longest ack", max(acked, default=0.0)),
        Figure("longest time without an ack", longest_silence(load.sent, began, last)),
        Figure("attempts beyond the first", repeats, ""),
        Figure("reconnects", _reconnects(load), ""),
        Figure(f"REST requests of {rest.asked} without an answer", rest.failures.total(), ""),
        *(Figure(f"- {failure}", count, "") for failure, count in sorted(rest.failures.items())),
        Figure("turns left out because too much was unanswered", load.skipped, ""),
    ]


def _reconnects(load: Load) -> int:
    return sum(client.connects - 1 for client in load.clients)
