"""Who may write where: asked of rooms, cached for seconds, corrected by events at once.

An answer of rooms and an event can overtake each other; `rev` says which is newer. The end of a
membership is kept as a tombstone so that an older answer cannot bring it back.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from chat_shared.contracts.internal import MembershipCheck, MembershipFact, MembershipFacts, MembershipKey
from chat_shared.errors import ChatError, Unavailable
from chat_shared.http import ServiceClient
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger

from chat_messaging.errors import NotAMember, RoomNotFound

log = get_logger(__name__)

FRESH_SECONDS = 30.0
RENEWED_SECONDS = 15.0
"""Who writes with less time left than this is asked about again, without anybody waiting for the answer."""
MAX_RENEWED = 1_000
UNINFORMED_SECONDS = 1.0
"""How long an answer of rooms counts while no event could correct it."""
TOMBSTONE_SECONDS = 60.0
MAX_CACHED = 200_000
LEFT_OUT = MAX_CACHED // 10
"""How many are forgotten at once when there are too many: looking for the oldest is not for every answer."""


class Member(NamedTuple):
    """A user in a room."""

    room_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class _Known:
    is_member: bool
    rev: int
    until: float


class Memberships:
    """The membership facts that this process goes by."""

    def __init__(self, rooms: ServiceClient, hears_events: Callable[[], bool]) -> None:
        """`hears_events`: whether events arrive at this moment; without them nothing is trusted for long."""
        self._rooms = rooms
        self._hears_events = hears_events
        self._known: dict[Member, _Known] = {}
        self._to_renew: set[Member] = set()
        self._wake = asyncio.Event()
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Ask in the background about members whose answer is soon out of date."""
        self._tasks.spawn(run_forever(self._renew_next, name="memberships", pause=0), name="memberships")

    async def stop(self) -> None:
        """Stop asking."""
        await self._tasks.cancel()

    async def _renew_next(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        members, self._to_renew = self._to_renew, set()
        try:
            for fact in await self._ask_rooms(members):
                self._learn(Member(fact.room_id, fact.user_id), fact)
        except ChatError as error:
            log.warning("memberships not renewed", asked=len(members), error=error.code)

    def _renew_soon(self, member: Member, now: float) -> None:
        known = self._known.get(member)
        if known is not None and known.until - now < RENEWED_SECONDS and len(self._to_renew) < MAX_RENEWED:
            self._to_renew.add(member)
            self._wake.set()

    async def refusals(self, members: Iterable[Member], *, fresh: bool = False) -> dict[Member, ChatError]:
        """Return why some of these may not write or read; all others may. One question to rooms at most.

        While rooms cannot be reached, who was a member still is one, as long as events would tell otherwise;
        the rest is refused retryably.

        Args:
            fresh: ask rooms about everybody, whatever is remembered.
        """
        now = time.monotonic()
        asked = set()
        for member in members:
            if fresh or not self._is_fresh_member(member, now):
                asked.add(member)
            else:
                self._renew_soon(member, now)
        if not asked:
            return {}
        try:
            facts = await self._ask_rooms(asked)
        except ChatError as error:
            log.warning("memberships unknown", asked=len(asked), error=error.code)
            return {member: Unavailable() for member in asked if fresh or not self._was_member(member)}
        refusals: dict[Member, ChatError] = {}
        for fact in facts:
            member = Member(fact.room_id, fact.user_id)
            if not self._learn(member, fact):
                refusals[member] = NotAMember() if fact.room_type == "public" else RoomNotFound()
        return refusals

    async def _ask_rooms(self, members: Iterable[Member]) -> list[MembershipFact]:
        keys = [MembershipKey(room_id=member.room_id, user_id=member.user_id) for member in members]
        question = MembershipCheck(memberships=keys)
        answer = await self._rooms.post(
            "/internal/v1/memberships/check", question, MembershipFacts, only_reads=True
        )
        return answer.memberships

    def _was_member(self, member: Member) -> bool:
        """Tell whether a user was a member when we last knew, and would have been reported if that ended."""
        known = self._known.get(member)
        return known is not None and known.is_member and self._hears_events()

    def _is_fresh_member(self, member: Member, now: float) -> bool:
        known = self._known.get(member)
        trusted_until = now if self._hears_events() else now + FRESH_SECONDS - UNINFORMED_SECONDS
        return known is not None and known.is_member and known.until > trusted_until

    def _learn(self, member: Member, fact: MembershipFact) -> bool:
        """Take an answer of rooms; tell whether the user is a member as far as we know now."""
        known = self._known.get(member)
        if fact.role is None:
            if known is not None and known.is_member:
                del self._known[member]  # the event got lost: not even while rooms is away is this a member
            return False
        if known is not None and not known.is_member and known.rev >= fact.rev:
            return False
        self._remember(member, _Known(True, fact.rev, time.monotonic() + FRESH_SECONDS))
        return True

    async def require_reader(self, member: Member) -> None:
        """Return when a user may read a room right now; somebody who left a moment ago may not.

        Raises:
            NotAMember: a public room that the user has not joined.
            RoomNotFound: no such room, or a private one of others.
            Unavailable: rooms is away.
        """
        refusals = await self.refusals([member], fresh=True)
        if member in refusals:
            raise refusals[member]

    def joined(self, member: Member, rev: int) -> None:
        """A membership began."""
        known = self._known.get(member)
        if known is None or known.rev < rev:
            self._remember(member, _Known(True, rev, time.monotonic() + FRESH_SECONDS))

    def left(self, member: Member, rev: int) -> None:
        """A membership ended."""
        known = self._known.get(member)
        if known is None or known.rev <= rev:
            self._remember(member, _Known(False, rev, time.monotonic() + TOMBSTONE_SECONDS))

    def has_left(self, member: Member) -> bool:
        """Tell whether the user left since they were checked: the last look before an insert."""
        known = self._known.get(member)
        return known is not None and not known.is_member

    def room_deleted(self, room_id: str, rev: int) -> None:
        """All memberships of a room ended."""
        for member in [member for member in self._known if member.room_id == room_id]:
            self.left(member, rev)

    def forget_members(self) -> None:
        """Ask again about everybody: events may have been missed."""
        self._known = {member: known for member, known in self._known.items() if not known.is_member}

    def _remember(self, member: Member, known: _Known) -> None:
        self._known[member] = known
        if len(self._known) > MAX_CACHED:
            now = time.monotonic()
            self._known = {member: known for member, known in self._known.items() if known.until > now}
            while len(self._known) > MAX_CACHED - LEFT_OUT:
                del self._known[next(iter(self._known))]
