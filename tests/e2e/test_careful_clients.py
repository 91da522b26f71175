"""The example clients lose nothing: whatever breaks, what they applied is the room's log."""

import asyncio
import json
import random
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from chat_faults.network import Links
from chat_shared.testing import ApiClient, NewRoom, NewUser, User, eventually
from chat_shared.testing.careful_client import CarefulClient
from chat_shared.testing.room_log import read_log

if TYPE_CHECKING:
    from chat_local.stack import Stack

ROOT = Path(__file__).parents[2]
JS = Path(__file__).parent / "js"
PYTHON_CLIENT = ROOT / "examples" / "python" / "careful_client.py"
JAVASCRIPT_CLIENT = (
    ROOT / "services" / "gateway-ws" / "chat_gateway_ws" / "site" / "assets" / "chat-client.js"
)
CUTS = 50
LINK = "public"
SEED = 20
MAX_LINES = 160


class NodeClient:
    """A Node process that runs the JavaScript client."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reader = asyncio.create_task(self._read())
        self.reports: list[dict[str, Any]] = []
        self.sent = 0

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.reports.append(json.loads(line))

    def reported(self, kind: str) -> list[dict[str, Any]]:
        """Return the reports of one kind so far."""
        return [report for report in self.reports if report["kind"] == kind]

    def applied(self, room_id: str) -> list[dict[str, Any]]:
        """Return what was applied in a room, in order."""
        messages = [report["message"] for report in self.reported("applied")]
        return [message for message in messages if message["roomId"] == room_id]

    def send(self, room_id: str) -> None:
        """Begin to send a message; its content is its number."""
        self.sent += 1
        message = {"roomId": room_id, "content": str(self.sent)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": self.sent, "message": message}).encode() + b"\n")

    async def stop(self) -> None:
        """Stop the client, and wait until its process has ended by itself."""
        assert self._process.stdin is not None
        self._process.stdin.write(b'{"stop": true}\n')
        await asyncio.wait_for(self._process.wait(), 15)

    async def end(self) -> None:
        """End the process."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader


@asynccontextmanager
async def node_client(url: str, user: User, room_ids: list[str]) -> AsyncIterator[NodeClient]:
    node = shutil.which("node")
    assert node, "node is missing: run `make test`, which fetches it"
    # Beside node_modules, as in an application that has installed socket.io-client.
    example = JS / f".careful-{secrets.token_hex(4)}.mjs"
    shutil.copyfile(JAVASCRIPT_CLIENT, example)
    process = await asyncio.create_subprocess_exec(
        node,
        str(JS / "careful.mjs"),
        str(example),
        url,
        user.access_token,
        json.dumps(room_ids),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    client = NodeClient(process)
    try:
        await eventually(lambda: client.reported("connected"), timeout=15, what="Node has connected")
        yield client
    finally:
        await client.end()
        example.unlink()


@asynccontextmanager
async def writing(clients: list[CarefulClient], room_ids: list[str]) -> AsyncIterator[None]:
    """Let clients write in all rooms, until the end of the block."""
    stopping = asyncio.Event()

    async def write(client: CarefulClient) -> None:
        turn = 0
        while not stopping.is_set():
            turn += 1
            sent = await client.send(room_ids[turn % len(room_ids)], f"turn {turn}")
            assert sent.refused is None, sent

    await asyncio.gather(*(client.start() for client in clients))
    writers = [asyncio.create_task(write(client)) for client in clients]
    try:
        yield
        stopping.set()
        await asyncio.gather(*writers)
    finally:
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*(client.stop() for client in clients))


def careful_part(client: Path) -> str:
    """Return what the page shows of a client: all of it, or the JavaScript class with the rules."""
    code = client.read_text()
    if client == PYTHON_CLIENT:
        return code
    end = code.index("\n}\n", code.index("class CarefulClient"))
    return code[code.index("import { io }") : end + len("\n}\n")]


@pytest.mark.parametrize(("client", "language"), [(PYTHON_CLIENT, "python"), (JAVASCRIPT_CLIENT, "js")])
def test_the_page_shows_the_clients(client: Path, language: str) -> None:
    """The code in docs/clients.md is the code that these tests run, and short enough to be read."""
    code = careful_part(client)
    assert len(code.splitlines()) <= MAX_LINES
    assert f"\n```{language}\n{code}```\n" in (ROOT / "docs" / "clients.md").read_text()


async def test_javascript_can_be_stopped(chat_url: str, new_user: NewUser) -> None:
    """Nothing of it keeps its process alive, and it does not come back."""
    async with node_client(chat_url, await new_user(), []) as client:
        client.send("0" * 24)
        await eventually(lambda: client.reported("refused"), timeout=15)
        await client.stop()
        assert len(client.reported("connected")) == 1


async def test_javascript_is_cut_off_fifty_times(
    chat_url: str, api: ApiClient, new_user: NewUser, new_room: NewRoom
) -> None:
    """At any moment: idle, catching up, its own messages on their way; by a reset, or half-open before."""
    reader, *writers = [await new_user() for _ in range(3)]
    room_ids = [(await new_room(reader, *writers))["id"] for _ in range(2)]
    others = [CarefulClient(chat_url, user.id, user.access_token, room_ids) for user in writers]
    chance = random.Random(SEED)
    async with AsyncExitStack() as stack:
        links = await stack.enter_async_context(Links(str(SEED)))
        port = await links.open(LINK, urlsplit(chat_url).port or 80)
        url = f"http://localhost:{port}"
        client = await stack.enter_async_context(node_client(url, reader, room_ids))
        async with writing(others, room_ids):
            for _ in range(CUTS):
                connected = len(client.reported("connected"))
                for _ in range(chance.randrange(4)):
                    client.send(chance.choice(room_ids))
                await asyncio.sleep(chance.uniform(0, 0.15))
                if chance.random() < 0.4:
                    await links.set(LINK, hole_up=True, hole_down=True)
                    await asyncio.sleep(chance.uniform(0, 0.1))
                await links.cut(LINK)
                await links.set(LINK)
                await eventually(
                    lambda seen=connected: len(client.reported("connected")) > seen,  # type: ignore[misc]
                    timeout=15,
                    what="connected again",
                )
        await eventually(lambda: len(client.reported("sent")) == client.sent, timeout=20, what="all sent")
        log = {room_id: await read_log(api, reader, room_id) for room_id in room_ids}
        await eventually(
            lambda: sum(len(entries) for entries in log.values()) == len(client.reported("applied")),
            timeout=20,
        )
    assert len(client.reported("connected")) > CUTS
    assert not client.reported("reset")
    for room_id, entries in log.items():
        applied = client.applied(room_id)
        assert [message["seq"] for message in applied] == list(range(1, len(entries) + 1))
        assert [message["messageId"] for message in applied] == [entry["messageId"] for entry in entries]
    own = [entry for entries in log.values() for entry in entries if entry["senderId"] == reader.id]
    assert sorted(int(entry["content"]) for entry in own) == list(range(1, client.sent + 1))
    for entries in log.values():
        numbers = [int(entry["content"]) for entry in entries if entry["senderId"] == reader.id]
        assert numbers == sorted(numbers), "each room has them in the order in which they were sent"
    stored = {int(entry["content"]): entry["messageId"] for entry in own}
    assert {report["id"]: report["answer"]["messageId"] for report in client.reported("sent")} == stored


@asynccontextmanager
async def running(url: str, user: User, *room_ids: str) -> AsyncIterator[CarefulClient]:
    client = CarefulClient(url, user.id, user.access_token, room_ids)
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


async def post(api: ApiClient, user: User, room_id: str, *contents: str) -> None:
    """Put messages into a room over REST."""
    for content in contents:
        await api.call("POST", f"/room/{room_id}/messages", user, status=201, json={"content": content})


def seqs(client: CarefulClient, room_id: str) -> list[int]:
    return [message["seq"] for message in client.history.applied[room_id]]


class TestPython:
    """The Python example, one rule at a time."""

    async def test_a_hole_is_filled_in_order(
        self, chat_url: str, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        """A client that missed something notices it at the next message, and shows nothing early."""
        room_id = (await new_room(alice))["id"]
        async with running(chat_url, alice, room_id) as client:
            await post(api, alice, room_id, "1", "2", "3")
            await client.wait_applied({room_id: 3}, timeout=10)
            client.positions[room_id] = 1
            del client.history.applied[room_id][1:]
            await post(api, alice, room_id, "4")
            await client.wait_applied({room_id: 4}, timeout=10)
            assert seqs(client, room_id) == [1, 2, 3, 4]
            assert client.connects == 1

    async def test_a_client_that_is_ahead_is_reset(
        self, chat_url: str, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        """It saw more than there is, as after a restored backup: it is told, and begins anew."""
        room_id = (await new_room(alice))["id"]
        await post(api, alice, room_id, "1", "2")
        client = CarefulClient(chat_url, alice.id, alice.access_token, [room_id])
        client.positions[room_id] = 100
        try:
            await client.start()
            await post(api, alice, room_id, "3")
            await eventually(lambda: client.position(room_id) == 3)
        finally:
            await client.stop()
        assert [(reset.room_id, reset.position) for reset in client.history.resets] == [(room_id, 0)]
        assert seqs(client, room_id) == [1, 2, 3]

    async def test_another_epoch_resets_every_room(
        self, chat_url: str, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        """Positions of another log mean nothing, also where they look right."""
        room_ids = [(await new_room(alice))["id"] for _ in range(2)]
        for room_id in room_ids:
            await post(api, alice, room_id, "1", "2", "3")
        client = CarefulClient(chat_url, alice.id, alice.access_token, room_ids)
        client.positions.update(dict.fromkeys(room_ids, 2))
        client.epoch = 1_000_000
        try:
            await client.start()
            await client.wait_applied(dict.fromkeys(room_ids, 3), timeout=10)
        finally:
            await client.stop()
        assert {reset.room_id for reset in client.history.resets} == set(room_ids)
        assert client.epoch == client.history.resets[0].epoch != 1_000_000
        assert [seqs(client, room_id) for room_id in room_ids] == [[1, 2, 3], [1, 2, 3]]

    async def test_a_room_that_one_joins_later_begins_at_its_first_message(
        self, chat_url: str, api: ApiClient, alice: User, bob: User, new_room: NewRoom
    ) -> None:
        room_id = (await new_room(bob))["id"]
        await post(api, bob, room_id, "1", "2")
        async with running(chat_url, alice) as client:
            await api.call("POST", f"/room/{room_id}/join", alice)
            await post(api, bob, room_id, "3")
            await client.wait_applied({room_id: 3}, timeout=10)
            assert seqs(client, room_id) == [1, 2, 3]

    async def test_a_permanent_refusal_ends_a_send(
        self, chat_url: str, alice: User, bob: User, new_room: NewRoom
    ) -> None:
        """The next message is not held up, and nothing stays in the outbox."""
        own, foreign = (await new_room(alice))["id"], (await new_room(bob))["id"]
        async with running(chat_url, alice, own) as client:
            refused, stored = await asyncio.gather(client.send(foreign, "no"), client.send(own, "yes"))
            assert (refused.refused, refused.attempts) == ("not_a_member", 1)
            assert stored.ack is not None
            assert client.outbox == {}

    async def test_a_session_that_ended_ends_the_client(
        self, chat_url: str, api: ApiClient, new_user: NewUser
    ) -> None:
        alice = await new_user()
        async with running(chat_url, alice) as client:
            await api.call("POST", "/auth/logout", alice)
            await eventually(lambda: client.ended, timeout=15)
            assert client.ended == {"reason": "logout", "reconnect": False}

    async def test_the_outbox_keeps_its_order_when_the_gateway_dies(
        self, own_stack: "Stack", api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        """Many messages wait for one room while their gateway is killed: each arrives once, in order."""
        room_id = (await new_room(alice))["id"]
        gateway = own_stack.process("gateway-ws-2")
        async with running(gateway.url, alice, room_id) as client:
            sends = [asyncio.create_task(client.send(room_id, str(number))) for number in range(1, 61)]
            await eventually(lambda: sum(send.done() for send in sends) >= 5)
            gateway.kill()
            assert not all(send.done() for send in sends)
            await gateway.wait_ready(30)
            async with asyncio.timeout(30):
                await asyncio.gather(*sends)
            assert client.connects > 1
        log = await read_log(api, alice, room_id)
        assert [entry["content"] for entry in log] == [str(number) for number in range(1, 61)]
