"""The servers that ours is compared with: start them, give them rooms, users and messages, stop them.

What they are is in `bench/peers`; here is the only other place that knows how they store it.
"""

import asyncio
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jwt
from bson import ObjectId
from chat_local.errors import ProgramMissing
from chat_local.ports import PortBook
from chat_local.process import ManagedProcess, ProcessSpec
from chat_local.state import StateFolder
from pymongo import AsyncMongoClient, WriteConcern

PeerKind = Literal["node", "stock"]

PEERS_DIR = Path(__file__).resolve().parents[1] / "peers"
READY = "ready"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
TOKEN_LIFETIME = timedelta(days=1)
BATCH = 10_000


def _nothing(_line: str) -> None:
    pass


class PeerServer:
    """One or more processes of a peer."""

    def __init__(
        self,
        kind: PeerKind,
        folder: Path,
        *,
        mongo_url: str,
        redis_url: str,
        database: str,
        processes: int = 1,
        durable: bool = True,
        report: Callable[[str], None] = _nothing,
    ) -> None:
        """Prepare a peer.

        Args:
            folder: for its logs; no other peer may use it at the same time.
            database: name of a database of its own.
            processes: how many; each has a port of its own, and Redis between them.
            durable: False has the Node peer pass a message on before it is stored, and store it unjournaled.
            report: gets a line when a process dies; none is started again.

        Raises:
            ValueError: the peer has no such mode.
        """
        if not durable and kind != "node":
            raise ValueError(f"the peer {kind} always stores a message before it passes it on")
        self.kind = kind
        self._state = StateFolder(folder)
        self._mongo_url = mongo_url
        self.database = database
        self._secret = secrets.token_hex(32)
        self._settings = {
            "NODE_ENV": "production",
            "HOST": "127.0.0.1",
            "MONGO_URL": mongo_url,
            "MONGO_DB": database,
            "REDIS_URL": redis_url,
            "BENCH_SECRET": self._secret,
            "DURABLE": "1" if durable else "0",
        }
        self._count = processes
        self._report = report
        self._processes: list[ManagedProcess] = []

    @property
    def url(self) -> str:
        """The URL of the first process."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """The URLs of all processes."""
        return [process.url for process in self._processes]

    @property
    def pids(self) -> list[int]:
        """The pids of all processes.

        Raises:
            ProcessLookupError: one of them has died.
        """
        return [process.pid for process in self._processes]

    async def start(self) -> None:
        """Start all processes and wait until they listen.

        Raises:
            ProgramMissing: Node.js or the packages of its peer are not installed.
            StartFailed: a process ended or was not ready in time; says how its log ends. None is left.
        """
        command = await _command(self.kind)
        self._state.acquire()
        self._state.turn_logs()
        ports = PortBook(self._state.run / "ports.json")
        names = [f"{self.kind}-{number}" for number in range(1, self._count + 1)]
        specs = [self._spec(name, command, ports.port(name)) for name in names]
        self._processes = [ManagedProcess(spec, self._state, self._report) for spec in specs]
        try:
            for process in self._processes:
                process.auto_restart = False  # a peer that falls over must show in its row of the report
                await process.start()
            for process in self._processes:
                await process.wait_ready()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all processes, by force those that do not end by themselves."""
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._processes = []
        self._state.release()

    async def provision(self, members: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Write who is in which room, and return a token for every user.

        Args:
            members: room id -> user ids; they replace whoever was in these rooms.
        """
        documents = [
            {"roomId": room_id, "userId": user_id} for room_id, users in members.items() for user_id in users
        ]
        async with self._mongo() as mongo:
            collection = mongo[self.database]["members"]
            await collection.delete_many({"roomId": {"$in": list(members)}})
            if documents:
                await collection.insert_many(documents)
        return {user_id: self._token(user_id) for users in members.values() for user_id in users}

    async def store_messages(self, room_id: str, senders: Sequence[str], count: int, size: int = 100) -> None:
        """Store messages of a room past the server, the senders taking turns.

        Args:
            senders: user ids.
            size: characters of each message.
        """
        start = datetime.now(UTC) - timedelta(milliseconds=count)
        async with self._mongo() as mongo:
            collection = mongo[self.database].get_collection("messages", write_concern=WriteConcern(w=1))
            for first in range(0, count, BATCH):
                numbers = range(first, min(first + BATCH, count))
                batch = [
                    {
                        "_id": ObjectId(),
                        "roomId": room_id,
                        "senderId": senders[number % len(senders)],
                        "content": f"message {number} ".ljust(size, "."),
                        "messageType": "text",
                        "createdAt": start + timedelta(milliseconds=number),
                        "clientMessageId": f"stored-{number}",
                    }
                    for number in numbers
                ]
                await collection.insert_many(batch, ordered=False)

    @staticmethod
    def cursor(message: Mapping[str, Any]) -> str:
        """Return what `before` has to be in `GET /history` for the page that ends at this message."""
        return f"{message['createdAt']}_{message['messageId']}"

    def _mongo(self) -> AsyncMongoClient[dict[str, Any]]:
        return AsyncMongoClient(self._mongo_url)

    def _token(self, user_id: str) -> str:
        claims = {"sub": user_id, "exp": datetime.now(UTC) + TOKEN_LIFETIME}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def _spec(self, name: str, command: Sequence[str], port: int) -> ProcessSpec:
        return ProcessSpec(
            name,
            command,
            {**os.environ, **self._settings, "PORT": str(port)},
            partial(_says_ready, self._state.log_of(name)),
            url=f"http://127.0.0.1:{port}",
            start_seconds=START_SECONDS,
            stop_seconds=STOP_SECONDS,
        )


async def _says_ready(log: Path) -> bool:
    return READY in _lines(log)


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()


async def _command(kind: PeerKind) -> list[str]:
    """Return the command line of a peer.

    Raises:
        ProgramMissing: something that it needs is not installed.
    """
    if kind == "stock":
        return [sys.executable, str(PEERS_DIR / "stock" / "server.py")]
    return [await _node(), str(PEERS_DIR / "node" / "server.mjs")]


async def _node() -> str:
    """Return the Node.js program itself: what is on the path may be a wrapper with a pid of its own."""
    found = shutil.which("node")
    if found is None or not (PEERS_DIR / "node" / "node_modules" / "socket.io").is_dir():
        what = "Node.js" if found is None else "socket.io for Node.js"
        raise ProgramMissing(what, "it is not installed", "make bench-peers")
    asked = await asyncio.create_subprocess_exec(
        *(found, "--print", "process.execPath"), stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await asked.communicate()
    if asked.returncode != 0:
        raise ProgramMissing("Node.js", f"{found} does not run", "make bench-peers")
    return answer.decode().strip()
