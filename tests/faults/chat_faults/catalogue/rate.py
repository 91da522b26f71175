"""Nothing breaks, and more is said than in any other run."""

from collections.abc import AsyncIterator

from chat_faults import crowd
from chat_faults.fault import Run, fault
from chat_faults.load import Crowd, Profile

TALK = Crowd()
ROOMS = f"{TALK.rooms} rooms of {TALK.members}"


@fault(
    "F36",
    f"Nothing: {ROOMS} members, {TALK.rate:,.0f} messages a second for {TALK.seconds:g} s",
    "each of them reaches all members once and in order, however late; p99 is told",
    profile=Profile(clients=6, rooms=0, hot_members=6, rate=5, crowd=TALK),
)
async def high_rate(run: Run) -> AsyncIterator[None]:
    told = await crowd.talk(run)
    yield
    crowd.note_counts(run, told)
