"""The promises of the room log, kept through any sequence of sends, crashes, losses and reconnections.

Hypothesis makes the sequences. `CHAT_MODEL_STEPS=50000` makes as many steps with another seed every time;
a failure prints the steps that led to it and what repeats them.
"""

import asyncio
import os
import secrets
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from bson import ObjectId
from chat_messaging.domain import Committed
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from .clients import Client
from .gateways import Gateway, Roster, parsed
from .processes import Message, MessagingProcess
from .promises import Promises

if TYPE_CHECKING:
    from chat_local.stack import Stack

PROCESSES, GATEWAYS, ROOMS, USERS, CLIENTS = 3, 2, 2, 3, 4
MIN_STEPS = 2_000
STEPS_PER_RUN = 60
STEPS_PER_CHECK = 10
PAGE, MAX_MISSED = 5, 20
"""Small ones, so that pages, resets and reads of the log come up."""
SETTLE_SECONDS = 30

process_numbers = st.integers(0, PROCESSES - 1)
gateway_numbers = st.integers(0, GATEWAYS - 1)
room_numbers = st.integers(0, ROOMS - 1)
user_numbers = st.integers(0, USERS - 1)
client_numbers = st.integers(0, CLIENTS - 1)
any_number = st.integers(0, 1_000)
few = st.integers(0, 3)

ResultT = TypeVar("ResultT")


class World:
    """What all runs of the machine share: the event loop and the processes."""

    def __init__(self, mongo_url: str) -> None:
        database = f"test_model_{secrets.token_hex(4)}"
        self.steps = 0
        self._loop = asyncio.new_event_loop()
        self.processes = self.run(self._make(mongo_url, database))

    async def _make(self, mongo_url: str, database: str) -> list[MessagingProcess]:
        processes = [MessagingProcess(mongo_url, database) for _ in range(PROCESSES)]
        for process in processes:
            await process.start()
        return processes

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self._loop.run_until_complete(asyncio.wait_for(work, SETTLE_SECONDS))

    async def _stop(self) -> None:
        for process in self.processes:
            await process.stop()

    def close(self) -> None:
        self.run(self._stop())
        self._loop.close()


class RoomLogMachine(RuleBasedStateMachine):
    """Steps of clients, of processes and of the network between them, in any order."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._is_broken = False
        self._steps = 0
        self.rooms = [str(ObjectId()) for _ in range(ROOMS)]
        self.users = [str(ObjectId()) for _ in range(USERS)]
        self.sent: list[Message] = []
        self.promises = Promises(self.rooms, self._read_log)
        self.roster = Roster(self.users, self.rooms)
        self.clients = [
            Client(self.users[number % USERS], self.rooms, self.promises) for number in range(CLIENTS)
        ]
        self.gateways: list[Gateway] = []
        self._world.run(self._begin())

    async def _begin(self) -> None:
        processes = self._world.processes
        self.gateways = [Gateway(processes[number].reader, self.roster) for number in range(GATEWAYS)]
        for process in processes:
            await process.crash(self._publish)
        for number, client in enumerate(self.clients):
            await client.connect(self.gateways[number % GATEWAYS])

    async def _read_log(self, room_id: str, after: int) -> list[dict[str, Any]]:
        frames = await self._world.processes[0].reader.frames_after(room_id, after, 100_000)
        return [parsed(frame)[1] for _, frame in frames]

    def _publish(self, entries: list[Committed]) -> None:
        for gateway in self.gateways:
            gateway.publish(entries)

    def _step(self, work: Coroutine[Any, Any, None]) -> None:
        self._world.steps += 1
        self._steps += 1
        try:
            self._world.run(work)
            if self._steps % STEPS_PER_CHECK == 0:
                self._world.run(self._check())
        except BaseException:
            self._is_broken = True
            raise

    async def _check(self) -> None:
        await self.promises.check_answers()
        for client in self.clients:
            await client.read()
            client.require_contiguous()

    def _new(self, room: int, user: int) -> Message:
        number = len(self.sent)
        message = Message(self.rooms[room], self.users[user], f"message {number}", f"text {number}")
        self.sent.append(message)
        return message

    async def _send(self, process: int, message: Message) -> bool:
        """Send once; tell whether it was acknowledged."""
        floor = self.promises.begins(message)
        result = await self._world.processes[process].send(message)
        self.promises.answered(message, result, floor)
        return result.error is None

    @rule(process=process_numbers, room=room_numbers, user=user_numbers)
    def send(self, process: int, room: int, user: int) -> None:
        async def send() -> None:
            await self._send(process, self._new(room, user))

        self._step(send())

    @rule(process=process_numbers, which=any_number, says_something_else=st.booleans())
    def send_again(self, process: int, which: int, says_something_else: bool) -> None:
        async def send_again() -> None:
            if self.sent:
                again = self.sent[-1 - which % len(self.sent)]
                text = again.text + " or not" if says_something_else else again.text
                await self._send(process, replace(again, text=text))

        self._step(send_again())

    @rule(room=room_numbers, user=user_numbers, one=process_numbers, other=process_numbers, count=few)
    def send_at_once(self, room: int, user: int, one: int, other: int, count: int) -> None:
        """Two processes get the same messages, and one more each, at the same time."""

        async def send_at_once() -> None:
            both = [self._new(room, user) for _ in range(count)]
            sends: list[Coroutine[Any, Any, bool]] = []
            for process in (one, other):
                sends += [self._send(process, message) for message in [*both, self._new(room, user)]]
            await asyncio.gather(*sends)

        self._step(send_at_once())

    @rule(process=process_numbers, room=room_numbers, user=user_numbers, under_way=few, turns=any_number)
    def crash(self, process: int, room: int, user: int, under_way: int, turns: int) -> None:
        """A messaging process dies with messages under way; nobody hears what became of them."""

        async def crash() -> None:
            messages = [self._new(room, user) for _ in range(under_way)]
            for message in messages:
                self.promises.begins(message)
            dying = self._world.processes[process]
            sends = [asyncio.create_task(dying.send(message)) for message in messages]
            for _ in range(turns % 20):
                await asyncio.sleep(0)
            if turns % 3 == 0:
                await asyncio.sleep(0.002)  # time for an insert to leave, and not to be answered
            await dying.crash()
            for send in sends:
                send.cancel()
            await asyncio.gather(*sends, return_exceptions=True)

        self._step(crash())

    @rule(
        client=client_numbers, gateway=gateway_numbers, process=process_numbers, room=room_numbers, missed=few
    )
    def reconnect(self, client: int, gateway: int, process: int, room: int, missed: int) -> None:
        """A client goes away, misses something, and comes back to any gateway."""

        async def reconnect() -> None:
            self.clients[client].disconnect()
            for _ in range(missed):
                await self._send(process, self._new(room, 0))
            await self.clients[client].connect(self.gateways[gateway])

        self._step(reconnect())

    @rule(
        client=client_numbers,
        room=room_numbers,
        how=st.sampled_from(["sync", "join", "join anew"]),
        process=process_numbers,
        meanwhile=st.lists(st.sampled_from(["send", "deliver", "lose"]), max_size=4),
    )
    def catch_up(self, client: int, room: int, how: str, process: int, meanwhile: list[str]) -> None:
        """A client asks for what it missed; other things happen while the answer of the log is on its way."""
        each, room_id = self.clients[client], self.rooms[room]
        if how == "sync":
            catching_up = each.sync(room_id, MAX_MISSED)
        else:
            catching_up = each.join(room_id, None if how == "join anew" else each.position(room_id))
        self._step(self._catch_up(each, catching_up, room, process, meanwhile))

    async def _catch_up(
        self,
        client: Client,
        catching_up: Coroutine[Any, Any, None],
        room: int,
        process: int,
        meanwhile: list[str],
    ) -> None:
        gateway = client.gateway
        assert gateway is not None
        gateway.log.hold_up()
        task = asyncio.create_task(catching_up)
        asked = asyncio.create_task(gateway.log.asked.wait())
        try:
            await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
            for happening in meanwhile:
                if happening == "send":
                    await self._send(process, self._new(room, 0))
                elif happening == "lose":
                    del gateway.wire[:1]
                while happening == "deliver" and gateway.wire:
                    gateway.receive_now(*gateway.wire.pop(0))
        finally:
            asked.cancel()
            gateway.log.let_pass()
        await task
        await gateway.settle()

    @rule(gateway=gateway_numbers, count=st.integers(1, 5))
    def deliver(self, gateway: int, count: int) -> None:
        """Redis brings what comes next."""

        async def deliver() -> None:
            wire = self.gateways[gateway].wire
            for _ in range(min(count, len(wire))):
                await self.gateways[gateway].receive(*wire.pop(0))

        self._step(deliver())

    @rule(gateway=gateway_numbers, how=st.sampled_from(["lose", "out of turn", "twice"]), which=any_number)
    def disturb(self, gateway: int, how: str, which: int) -> None:
        """Redis loses a batch, or brings one before its turn or twice."""

        async def disturb() -> None:
            if wire := self.gateways[gateway].wire:
                batch = wire[which % len(wire)]
                if how != "twice":
                    wire.remove(batch)
                if how != "lose":
                    await self.gateways[gateway].receive(*batch)

        self._step(disturb())

    @rule(gateway=gateway_numbers)
    def check_heads(self, gateway: int) -> None:
        """The gateway looks whether it missed anything."""
        self._step(self.gateways[gateway].check_heads())

    @rule(user=user_numbers, room=room_numbers)
    def change_membership(self, user: int, room: int) -> None:
        """A user is removed from a room, or comes back."""
        self._step(self._change_membership(self.users[user], self.rooms[room]))

    async def _change_membership(self, user_id: str, room_id: str) -> None:
        clients = [client for client in self.clients if client.user_id == user_id]
        if self.roster.is_member(user_id, room_id):
            rev = self.roster.remove(user_id, room_id)
            for client in clients:
                await client.read()
                client.outside.add(room_id)
                client.synced.discard(room_id)
            for gateway in self.gateways:
                gateway.member_left(user_id, room_id, rev)
        else:
            room = self.roster.add(user_id, room_id)
            for client in clients:
                client.outside.discard(room_id)
            for gateway in self.gateways:
                await gateway.member_joined(user_id, room)

    def teardown(self) -> None:
        try:
            if not self._is_broken:
                self._world.run(self._heal())
        finally:
            self._world.run(self._end())

    async def _heal(self) -> None:
        """Everything works again: who has not caught up does so, and the rest must come by itself."""
        for client in self.clients:
            for room_id in self.rooms:
                if room_id not in client.synced:
                    await client.sync(room_id, MAX_MISSED)
        for room in range(ROOMS):
            message = self._new(room, 0)
            while not await self._send(0, message):
                pass
        await self.promises.check_answers()
        for gateway in self.gateways:
            gateway.wire.clear()
            await gateway.check_heads()
        await self._check()
        for room_id in self.rooms:
            await self.promises.read_again(room_id)
            for client in self.clients:
                if room_id not in client.outside:
                    assert client.position(room_id) == self.promises.head(room_id), "never reached the head"

    async def _end(self) -> None:
        for client in self.clients:
            client.disconnect()
        for gateway in self.gateways:
            await gateway.stop()


@pytest.fixture
def world(stack: "Stack") -> Iterator[World]:
    world = World(stack.mongo_url)
    yield world
    world.close()


@pytest.mark.timeout(600)
def test_every_promise_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_gateway_ws.catch_up.PAGE", PAGE)
    monkeypatch.setattr("chat_gateway_ws.catch_up.HISTORY_LIMIT", PAGE)
    for module in ("recent", "room_feed"):
        monkeypatch.setattr(f"chat_gateway_ws.{module}.MAX_ENTRIES", PAGE)
    monkeypatch.setattr("chat_gateway_ws.catch_up.MAX_MISSED", MAX_MISSED)
    wanted = int(os.environ.get("CHAT_MODEL_STEPS", MIN_STEPS))
    run_state_machine_as_test(
        lambda: RoomLogMachine(world),
        settings=settings(
            max_examples=-(-wanted * 5 // (STEPS_PER_RUN * 4)),  # some runs end before they are that long
            stateful_step_count=STEPS_PER_RUN,
            deadline=None,
            derandomize="CHAT_MODEL_STEPS" not in os.environ,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            # Not shrunk: what depends on timing does not shrink, and every try costs real inserts.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert world.steps >= wanted
