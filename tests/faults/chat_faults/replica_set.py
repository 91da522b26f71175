"""MongoDB as three nodes that reach each other, and are reached, through links that can be broken."""

import os
from functools import partial
from typing import Any

from chat_local.ports import PortBook
from chat_local.probes import tcp_answers
from chat_local.process import ManagedProcess, ProcessSpec
from chat_local.programs import mongod
from chat_local.programs.finding import Program
from chat_local.state import StateFolder
from chat_local.supervision import Supervision
from chat_shared.testing import eventually
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from chat_faults.network import Links

NODES = ("mongod-1", "mongod-2", "mongod-3")
#: Shorter than MongoDB's own ten seconds, so that a run need not last for minutes.
ELECTION = {"electionTimeoutMillis": 2_000, "heartbeatTimeoutSecs": 2, "heartbeatIntervalMillis": 500}
START_SECONDS = 60.0


class ReplicaSet:
    """Three mongods. Their names are the names of their links, too."""

    def __init__(self, state: StateFolder, links: Links, ports: PortBook, supervision: Supervision) -> None:
        self._state = state
        self._links = links
        self._ports = ports
        self._supervision = supervision
        self._advertised: dict[str, int] = {}
        self.processes: dict[str, ManagedProcess] = {}

    @property
    def url(self) -> str:
        """The URL of the set, through the links."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._advertised.values())
        return f"mongodb://{hosts}/?replicaSet={mongod.REPLICA_SET}"

    async def start(self) -> None:
        """Start the nodes, make them a set, and wait until one of them leads."""
        program = mongod.find()
        for name in NODES:
            port = self._ports.port(name)
            self._advertised[name] = await self._links.open(name, port)
            spec = self._supervision.mark(_spec(name, program, port, self._state))
            self.processes[name] = ManagedProcess(spec, self._state, lambda _line: None)
            await self.processes[name].start()
        for process in self.processes.values():
            await process.wait_ready(START_SECONDS)
        members = [
            {"_id": number, "host": f"127.0.0.1:{port}", "priority": 3 - number}
            for number, port in enumerate(self._advertised.values())
        ]
        config = {"_id": mongod.REPLICA_SET, "members": members, "settings": ELECTION}
        await eventually(lambda: self._command(NODES[0], {"replSetInitiate": config}), START_SECONDS)
        await self.wait_whole()

    async def stop(self) -> None:
        """Kill all nodes: nothing of the data is wanted any more."""
        for process in self.processes.values():
            process.auto_restart = False
            if process.is_running:
                process.kill()
        for process in self.processes.values():
            await process.stop()

    async def primary(self, timeout: float = START_SECONDS) -> str:
        """Return the name of the node that leads; wait for one."""

        async def find() -> str:
            return await self._find("isWritablePrimary") or ""

        return await eventually(find, timeout, "a primary")

    async def wait_whole(self, timeout: float = START_SECONDS) -> None:
        """Wait until one node leads and the two others follow it, with nothing left to catch up on."""

        async def whole() -> bool:
            leader = await self._find("isWritablePrimary")
            status = await self._command(leader, {"replSetGetStatus": 1}) if leader else None
            states = sorted(member["state"] for member in (status or {}).get("members", []))
            return states == [1, 2, 2]

        await eventually(whole, timeout, "a primary and two secondaries")

    async def step_down(self, name: str, seconds: int) -> None:
        """Ask a primary to hand over and not to come back for some seconds."""
        await self._command(name, {"replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": 5})

    async def _find(self, role: str) -> str | None:
        for name, process in self.processes.items():
            if process.is_running and ((await self._command(name, {"hello": 1})) or {}).get(role):
                return name
        return None

    async def _command(self, name: str, command: dict[str, Any]) -> dict[str, Any] | None:
        """Run an admin command on one node, past its link; None while it does not answer."""
        url = f"mongodb://127.0.0.1:{self._ports.port(name)}/?directConnection=true"
        async with AsyncMongoClient[dict[str, Any]](
            url, serverSelectionTimeoutMS=1_000, socketTimeoutMS=10_000
        ) as client:
            try:
                return await client.admin.command(command)
            except PyMongoError:
                return None


def _spec(name: str, program: Program, port: int, state: StateFolder) -> ProcessSpec:
    arguments = mongod.arguments(program, port, state.data_of(name))
    ready = partial(tcp_answers, "127.0.0.1", port)
    return ProcessSpec(name, arguments, {**os.environ, **program.env}, ready, start_seconds=START_SECONDS)
