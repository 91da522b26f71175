"""A peer as a target of the benchmark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bson import ObjectId
from chat_local.stack import Stack
from pymongo import AsyncMongoClient

from chat_bench.peers import PeerKind, PeerServer
from chat_bench.targets.backing import MONGOD, REDIS, pids_of
from chat_bench.targets.target import Circles, Ground, Page

PAGE = 50


class PeerTarget:
    """One or more processes of a peer, with a database of its own for the run."""

    keeps_order = False
    forgets_seconds = 2.0

    def __init__(
        self, name: str, kind: PeerKind, folder: Path, backing: Stack, *, processes: int, durable: bool = True
    ) -> None:
        """`processes`: as many as ours has gateways."""
        self.name = name
        self.holders = (kind,)
        self._kind = kind
        self._backing = backing
        self._server = PeerServer(
            kind,
            folder / name,
            mongo_url=backing.mongo_url,
            redis_url=backing.redis_url,
            database=f"bench_{name.replace('-', '_')}",
            processes=processes,
            durable=durable,
        )
        self._users: dict[int, str] = {}

    @property
    def urls(self) -> list[str]:
        """Every process."""
        return self._server.urls

    def processes(self) -> dict[str, list[int]]:
        """Return the peer itself and the servers that it uses."""
        return {self._kind: self._server.pids} | pids_of(self._backing, [MONGOD, REDIS])

    async def start(self) -> None:
        """Start all processes."""
        await self._server.start()

    async def stop(self) -> None:
        """Stop all processes."""
        await self._server.stop()

    async def provide(self, circles: Circles) -> Ground:
        """Write who is in which new room."""
        for number in (number for circle in circles for number in circle):
            self._users.setdefault(number, str(ObjectId()))
        room_ids = [str(ObjectId()) for _ in circles]
        members = {
            room_id: [self._users[number] for number in circle]
            for room_id, circle in zip(room_ids, circles, strict=True)
        }
        tokens = await self._server.provision(members)
        numbers = {number for circle in circles for number in circle}
        user_ids = {number: self._users[number] for number in sorted(numbers)}
        return Ground(room_ids, user_ids, {number: tokens[user_ids[number]] for number in user_ids})

    async def clear(self, ground: Ground) -> None:
        """Take everybody out of the rooms."""
        await self._server.provision({room_id: [] for room_id in ground.room_ids})

    async def store_messages(self, room_id: str, sender_ids: Sequence[str], count: int) -> None:
        """Write them into its collection."""
        await self._server.store_messages(room_id, sender_ids, count)

    async def pages(self, room_id: str, count: int) -> Mapping[str, Page]:
        """A page is asked for by the message that it ends before."""
        url = f"{self._server.url}/history"
        query = {"roomId": room_id, "limit": str(PAGE)}
        return {
            "newest": Page(url, query),
            "middle": Page(url, {**query, "before": await self._cursor(room_id, count // 2)}),
            "oldest": Page(url, {**query, "before": await self._cursor(room_id, PAGE)}),
        }

    async def _cursor(self, room_id: str, number: int) -> str:
        """Return the cursor of the message behind the first `number`."""
        async with AsyncMongoClient[dict[str, Any]](self._backing.mongo_url) as mongo:
            messages = mongo[self._server.database]["messages"]
            order = [("createdAt", 1), ("_id", 1)]
            [found] = await messages.find({"roomId": room_id}).sort(order).skip(number).limit(1).to_list()
        created_at = found["createdAt"].isoformat(timespec="milliseconds")
        return self._server.cursor({"createdAt": f"{created_at}Z", "messageId": str(found["_id"])})
