"""Seeded load: careful clients that talk in many rooms and one busy one, on a schedule."""

import asyncio
import random
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

from chat_shared.lifecycle import TaskSet
from chat_shared.testing import ApiClient, User, eventually
from chat_shared.testing.careful_client import CarefulClient, ClientHistory, SentMessage

MAX_UNANSWERED = 3_000
"""Beyond this the schedule skips its turns: nobody writes into a room that does not answer for ever."""
LONGEST_PADDING = 400
SETUP_AT_ONCE = 8
RETIRE_SECONDS = 30
GIVE_UP_SECONDS = 10
"""Longer than the deadline of any request on its way."""


@dataclass(frozen=True)
class Crowd:
    """Rooms in which the load generator talks for everybody; nobody is in two of them."""

    rooms: int = 10
    members: int = 10
    rate: float = 1_500.0
    """Messages per second, of all together."""
    seconds: float = 20.0

    @property
    def people(self) -> int:
        """How many members there are in all rooms."""
        return self.rooms * self.members


@dataclass(frozen=True)
class Profile:
    """How much load."""

    clients: int = 80
    rooms: int = 30
    members: int = 6
    """Members of an ordinary room."""
    hot_members: int = 30
    """Members of the busy room, which gets a fifth of all messages."""
    rate: float = 80.0
    """Messages per second, of all clients together."""
    crowd: Crowd | None = None
    """More load than careful clients can be."""

    HOT_SHARE: ClassVar[float] = 0.2

    @property
    def people(self) -> int:
        """How many users it needs."""
        return self.clients + (self.crowd.people if self.crowd else 0)

    def scaled(self, factor: float) -> "Profile":
        """Return the same load for a weaker or a stronger machine."""
        hot_members = max(4, round(self.hot_members * factor))
        return replace(
            self,
            clients=max(hot_members, self.members, round(self.clients * factor)),
            rooms=max(1, round(self.rooms * factor)) if self.rooms else 0,
            hot_members=hot_members,
            rate=self.rate * factor,
            crowd=self.crowd and replace(self.crowd, rate=self.crowd.rate * factor),
        )


@dataclass(frozen=True)
class Room:
    """A room and who is in it."""

    id: str
    members: tuple[User, ...]

    @property
    def owner(self) -> User:
        """Who made it."""
        return self.members[0]


async def make_users(api: ApiClient, count: int, name: str) -> list[User]:
    """Register and log in users, a few at a time."""
    gate = asyncio.Semaphore(SETUP_AT_ONCE)

    async def make(number: int) -> User:
        async with gate:
            return await api.login(await api.register(f"{name}_{number}"))

    return await asyncio.gather(*(make(number) for number in range(count)))


async def make_room(api: ApiClient, name: str, members: Sequence[User], *guests: User) -> Room:
    """Make a public room of these members; `guests` are members that the load does not know of."""
    owner, *others = members
    room = await api.data("POST", "/room", owner, status=201, json={"roomName": name})
    for other in (*others, *guests):
        path = f"/room/{room['id']}/members"
        await api.call("POST", path, owner, status=201, json={"userId": other.id})
    return Room(room["id"], tuple(members))


class Load:
    """The clients of one run."""

    def __init__(
        self, api: ApiClient, url: str, users: Sequence[User], profile: Profile, seed: str, name: str
    ) -> None:
        """`seed` decides who says what when and where; `name` is part of the rooms' names.

        The first of the users are careful clients, the others the crowd.
        """
        self._name = name
        self._api = api
        self._url = url
        self._users = users[: profile.clients]
        self._crowd_users = users[profile.clients : profile.people]
        self._profile = profile
        self._rng = random.Random(seed)
        self._seed = seed
        self._tasks = TaskSet()
        self._schedule: asyncio.Task[None] | None = None
        self.rooms: list[Room] = []
        """Where careful clients talk."""
        self.crowd_rooms: list[Room] = []
        self.crowd_histories: list[ClientHistory] = []
        """What the crowd did and saw; filled in by whoever drives it."""
        self.clients: list[CarefulClient] = []
        self._retired: list[CarefulClient] = []
        self._others = ClientHistory("others")
        self.skipped = 0
        """Turns of the schedule that were not taken because too much was unanswered."""

    @property
    def hot_room(self) -> Room:
        """The busy room."""
        return self.rooms[0]

    @property
    def watched_room(self) -> Room:
        """Where the most is said."""
        return self.crowd_rooms[0] if self.crowd_rooms else self.hot_room

    @property
    def all_rooms(self) -> list[Room]:
        """Every room of the run."""
        return [*self.rooms, *self.crowd_rooms]

    @property
    def crowd(self) -> Crowd | None:
        """What the crowd is to do."""
        return self._profile.crowd

    @property
    def rate(self) -> float:
        """Messages per second on the schedule."""
        return self._profile.rate

    @property
    def histories(self) -> list[ClientHistory]:
        """What everybody did and saw, also who left and who wrote by other means."""
        careful = (client.history for client in (*self.clients, *self._retired))
        return [*careful, self._others, *self.crowd_histories]

    @property
    def sent(self) -> list[SentMessage]:
        """Every message that any client was asked to send."""
        return [message for history in self.histories for message in history.sent]

    def expect(self, room_id: str, client_message_id: str, content: str) -> SentMessage:
        """Note a message that somebody else sends, so that the checker does not wonder at it.

        Whoever sends it may fill in its acknowledgement, so that the checker holds the system to it.
        """
        message = SentMessage(room_id, client_message_id, content, time.monotonic())
        self._others.sent.append(message)
        return message

    async def give_up(self) -> None:
        """Abandon what has no end yet, and wait until nothing of it can be stored any more."""
        await self._tasks.cancel()
        await asyncio.sleep(GIVE_UP_SECONDS)

    async def retire(self, user_ids: Collection[str]) -> None:
        """Disconnect these users' clients for good, once all that they began to send has ended."""
        leaving = [client for client in self.clients if client.history.user_id in user_ids]
        self.clients = [client for client in self.clients if client not in leaving]
        self._retired += leaving

        def all_ended() -> bool:
            return all(sent.ended for client in leaving for sent in client.history.sent)

        await eventually(all_ended, RETIRE_SECONDS, "the end of all sends of who leaves")
        await asyncio.gather(*(client.stop() for client in leaving))

    @property
    def unanswered(self) -> int:
        """How many of them have no end yet."""
        return len(self._tasks)

    async def prepare(self, *guests: User) -> None:
        """Make rooms and connect clients; `guests` become members of the room that is watched."""
        gate = asyncio.Semaphore(SETUP_AT_ONCE)
        circles, crowds = self._circles(), self._crowd_circles()
        watched = len(circles) if crowds else 0

        async def make(number: int, members: Sequence[User]) -> Room:
            async with gate:
                here = guests if number == watched else ()
                return await make_room(self._api, f"{self._name} {number}", members, *here)

        made = await asyncio.gather(*(make(number, each) for number, each in enumerate([*circles, *crowds])))
        self.rooms, self.crowd_rooms = made[: len(circles)], made[len(circles) :]
        self.clients = [
            CarefulClient(self._url, user.id, user.access_token, self._rooms_of(user)) for user in self._users
        ]
        await asyncio.gather(*(client.start() for client in self.clients))

    def _circles(self) -> list[list[User]]:
        """Return who is in which room, the busy one first."""
        profile, users = self._profile, list(self._users)
        return [self._rng.sample(users, n) for n in (profile.hot_members, *[profile.members] * profile.rooms)]

    def _crowd_circles(self) -> list[Sequence[User]]:
        if self.crowd is None:
            return []
        size = self.crowd.members
        return [self._crowd_users[start : start + size] for start in range(0, self.crowd.people, size)]

    def _rooms_of(self, user: User) -> list[str]:
        return [room.id for room in self.rooms if user in room.members]

    def begin(self) -> None:
        """Send from now on, until `end`."""
        self._schedule = asyncio.create_task(self._send_on_schedule())

    async def end(self) -> None:
        """Send nothing new; what was begun goes on to its end."""
        if self._schedule is not None:
            self._schedule.cancel()
            await asyncio.wait([self._schedule])

    async def settle(self, timeout: float) -> int:
        """Wait until every message has ended, for `timeout` seconds; return how many have not."""
        with suppress(AssertionError):
            await eventually(lambda: not len(self._tasks), timeout)
        return len(self._tasks)

    async def close(self) -> None:
        """Disconnect everybody and delete the rooms: the next run's clients must not hear of them."""
        await self.end()
        await self._tasks.cancel()
        await asyncio.gather(*(client.stop() for client in self.clients))
        gate = asyncio.Semaphore(SETUP_AT_ONCE)

        async def delete(room: Room) -> None:
            async with gate:
                await self._api.call("DELETE", f"/room/{room.id}", room.owner)

        await asyncio.gather(*(delete(room) for room in self.all_rooms))

    async def _send_on_schedule(self) -> None:
        due = time.monotonic()
        number = 0
        while True:
            due += self._rng.expovariate(self._profile.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            number += 1
            if self.unanswered >= MAX_UNANSWERED:
                self.skipped += 1
                continue
            drawn = self._draw()
            if drawn is None:
                continue
            client, room_id = drawn
            text = f"{self._seed} {number} {'x' * self._rng.randrange(LONGEST_PADDING)}"
            self._tasks.spawn(_send(client, room_id, text), name="send")

    def _draw(self) -> tuple[CarefulClient, str] | None:
        """Return who speaks next, and where; None when that client has left."""
        is_hot = self._rng.random() < Profile.HOT_SHARE
        room = self.hot_room if is_hot else self._rng.choice(self.rooms)
        member = self._rng.choice(room.members)
        client = next((each for each in self.clients if each.history.user_id == member.id), None)
        return None if client is None else (client, room.id)


async def _send(client: CarefulClient, room_id: str, text: str) -> None:
    await client.send(room_id, text)
