"""A replica set of three loses its primary, with an entry that no other node has."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from chat_local.programs import mongod
from chat_shared.testing import eventually
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from .test_appender import Process, require_dense, stored

SET = "failover"
SETTINGS = {"electionTimeoutMillis": 2000, "heartbeatTimeoutSecs": 2}


class Node:
    """One mongod, with test commands."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = mongod.find()
        self._folder.mkdir()
        options = ["--dbpath", str(self._folder), "--port", str(self.port), "--bind_ip", "127.0.0.1"]
        options += [
            "--replSet",
            SET,
            "--wiredTigerCacheSizeGB",
            "0.25",
            "--oplogSize",
            "64",
            "--nounixsocket",
        ]
        options += ["--setParameter", "enableTestCommands=1"]
        options += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        self._process = await asyncio.create_subprocess_exec(
            str(program.path),
            *options,
            env=program.env or None,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await eventually(lambda: self.command({"ping": 1}), timeout=30)

    async def command(self, command: dict[str, Any]) -> dict[str, Any] | None:
        """Run an admin command on this node alone; None while it does not answer."""
        url = f"mongodb://{self.address}/?directConnection=true"
        async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=500) as client:
            with suppress(PyMongoError):
                return await client.admin.command(command)
        return None

    async def is_primary(self) -> bool:
        return bool(((await self.command({"hello": 1})) or {}).get("isWritablePrimary"))

    async def replicate(self, on: bool) -> None:
        """Let this node fetch what the primary writes, or not."""
        mode = "off" if on else "alwaysOn"
        assert await self.command({"configureFailPoint": "stopReplProducer", "mode": mode})

    async def has(self, room_id: str, client_message_id: str) -> bool:
        """Tell whether this node has an entry, committed or not."""
        url = f"mongodb://{self.address}/?directConnection=true"
        entry = {"roomId": ObjectId(room_id), "clientMessageId": client_message_id}
        async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=500) as client:
            names = await client.list_database_names()
            return any([await client[name]["room_log"].find_one(entry) is not None for name in names])

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[list[Node]]:
    """Three nodes; the first one is the primary."""
    nodes = [Node(tmp_path / str(number)) for number in range(3)]
    try:
        await asyncio.gather(*(node.start() for node in nodes))
        members = [
            {"_id": number, "host": node.address, "priority": 3 if number == 0 else 1}
            for number, node in enumerate(nodes)
        ]
        assert await nodes[0].command(
            {"replSetInitiate": {"_id": SET, "members": members, "settings": SETTINGS}}
        )
        await eventually(nodes[0].is_primary, timeout=30)
        yield nodes
    finally:
        await asyncio.gather(*(node.kill() for node in nodes))


async def test_an_entry_that_is_rolled_back_leaves_no_hole(nodes: list[Node]) -> None:
    url = f"mongodb://{','.join(node.address for node in nodes)}/?replicaSet={SET}"
    process = await Process(url, f"failover_{secrets.token_hex(3)}").start()
    room_id = str(ObjectId())
    try:
        for number in range(3):
            assert (await process.send(room_id, f"before {number}", seconds=20)).error is None

        for node in nodes[1:]:
            await node.replicate(on=False)
        lost = await process.send(room_id, "lost", seconds=1)
        assert lost.error is not None
        assert lost.error.code == "unknown"

        across = process.send(room_id, "across", seconds=8)
        with suppress(AssertionError):  # it must not follow what can be lost; give it the time to do so
            await eventually(lambda: nodes[0].has(room_id, "across"), timeout=1)
        await nodes[0].kill()
        for node in nodes[1:]:
            await node.replicate(on=True)
        first_answer = await across
        assert first_answer.error is None or first_answer.error.retryable

        for key in ("across", "lost"):

            async def repeated(key: str = key) -> bool:
                result = await process.send(room_id, key)
                assert result.error is None or result.error.retryable
                return result.error is None

            await eventually(repeated, timeout=40)
        entries = await stored(process, room_id)
        require_dense(entries, 5)
        if first_answer.error is None:
            placed = {entry["clientMessageId"]: entry["seq"] for entry in entries}
            assert placed["across"] == first_answer.seq
    finally:
        await process.stop()
