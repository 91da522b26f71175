"""Users and rooms of our services, made over REST as any client makes them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from chat_shared.testing import ApiClient, User

from chat_bench.targets.target import Circles

AT_ONCE = 16
"""Auth refuses to have more than 32 passwords waiting for their hash."""

ResultT = TypeVar("ResultT")


async def at_once(work: Iterable[Callable[[], Awaitable[ResultT]]]) -> list[ResultT]:
    """Do all of it, so many at a time, and return the results in the order of the work."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(job: Callable[[], Awaitable[ResultT]]) -> ResultT:
        async with gate:
            return await job()

    return await asyncio.gather(*(one(job) for job in work))


class Accounts:
    """The users of one run, made when they are first needed."""

    def __init__(self) -> None:
        self._name = f"bench_{secrets.token_hex(3)}"
        self._users: list[User] = []
        self._host: User | None = None
        """Owns all rooms and never connects: nobody else has a room more than the others."""

    async def first(self, api: ApiClient, count: int) -> Sequence[User]:
        """Return the first `count` users."""
        numbers = range(len(self._users), count)
        self._users += await at_once(partial(self._make, api, f"{number}") for number in numbers)
        return self._users[:count]

    async def host(self, api: ApiClient) -> User:
        """Return the owner of all rooms."""
        if self._host is None:
            self._host = await self._make(api, "host")
        return self._host

    async def _make(self, api: ApiClient, name: str) -> User:
        return await api.login(await api.register(f"{self._name}_{name}"))


async def make_rooms(api: ApiClient, host: User, count: int) -> list[str]:
    """Make public rooms and return their ids."""
    body = {"roomName": "bench"}
    rooms = await at_once(
        partial(api.data, "POST", "/room", host, status=201, json=body) for _ in range(count)
    )
    return [room["id"] for room in rooms]


async def join_all(api: ApiClient, room_ids: Sequence[str], users: Sequence[User], circles: Circles) -> None:
    """Let everybody join their rooms."""
    await at_once(
        partial(api.call, "POST", f"/room/{room_id}/join", users[number])
        for room_id, circle in zip(room_ids, circles, strict=True)
        for number in circle
    )


async def leave_all(api: ApiClient, room_ids: Sequence[str], users: Sequence[User], circles: Circles) -> None:
    """Let everybody leave again."""
    await at_once(
        partial(api.call, "DELETE", f"/room/{room_id}/members", users[number])
        for room_id, circle in zip(room_ids, circles, strict=True)
        for number in circle
    )
