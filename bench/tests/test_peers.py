"""The peers speak with a stock client as our own gateway does, alone and side by side."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
import pytest_asyncio
from bson import ObjectId
from chat_bench.peers import PeerKind, PeerServer
from chat_local.errors import ProgramMissing, StartFailed
from chat_local.stack import Stack, StackOptions
from chat_shared.testing import SocketClient, eventually
from chat_shared.testing.socket_client import ConnectRefused
from pymongo import AsyncMongoClient

STORED = 120

Connect = Callable[[str, str], Awaitable[SocketClient]]


class Room:
    """A room of two; `stranger` is not in it."""

    def __init__(self) -> None:
        self.id, self.alice, self.bob, self.stranger = (str(ObjectId()) for _ in range(4))
        self.tokens: dict[str, str] = {}

    async def provide(self, peer: PeerServer) -> None:
        """Write the room, and one that only the stranger is in."""
        members = {self.id: [self.alice, self.bob], str(ObjectId()): [self.stranger]}
        self.tokens = await peer.provision(members)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def backing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """MongoDB, Redis and RabbitMQ, without any service of ours."""
    async with Stack(StackOptions(tmp_path_factory.mktemp("bench-stack"), services=False)) as stack:
        yield stack


def new_peer(kind: PeerKind, backing: Stack, folder: Path, **options: Any) -> PeerServer:
    database = f"peer_{secrets.token_hex(4)}"
    urls = {"mongo_url": backing.mongo_url, "redis_url": backing.redis_url}
    return PeerServer(kind, folder, **{**urls, "database": database, **options})


async def started(peer: PeerServer) -> PeerServer:
    """Start a peer; the test is skipped where Node.js or its packages are missing."""
    try:
        await peer.start()
    except ProgramMissing as missing:
        pytest.skip(str(missing))
    return peer


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["node", "stock"])
async def peer(
    request: pytest.FixtureRequest, backing: Stack, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PeerServer]:
    """Each peer with two processes."""
    folder = tmp_path_factory.mktemp(f"peer-{request.param}")
    peer = await started(new_peer(request.param, backing, folder, processes=2))
    yield peer
    await peer.stop()


@pytest.fixture
async def room(peer: PeerServer) -> Room:
    room = Room()
    await room.provide(peer)
    return room


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens sockets, and closes them after the test."""
    sockets: list[SocketClient] = []

    async def open_socket(url: str, token: str) -> SocketClient:
        sockets.append(SocketClient())
        return await sockets[-1].connect(url, token)

    yield open_socket
    for socket in sockets:
        await socket.disconnect()


@pytest.mark.parametrize("apart", [False, True], ids=["one process", "two processes"])
async def test_two_people_chat(apart: bool, peer: PeerServer, room: Room, connect: Connect) -> None:
    """Both get both messages with all that a client needs to know, also across processes."""
    here, there = peer.urls[0], peer.urls[1 if apart else 0]
    alice = await connect(here, room.tokens[room.alice])
    bob = await connect(there, room.tokens[room.bob])
    for socket in (alice, bob):
        assert await socket.done("join_room", {"roomId": room.id}) == {"ok": True, "roomId": room.id}
    acks = []
    for socket, text in ((alice, "hello"), (bob, "hello yourself")):
        message = {"roomId": room.id, "content": text, "clientMessageId": f"id of {text}"}
        acks.append(await socket.done("send_message", message))
        for reader in (alice, bob):
            await reader.wait_for_many("new-message", len(acks))

    assert alice.events("new-message") == bob.events("new-message")
    expected = [(room.alice, "hello"), (room.bob, "hello yourself")]
    for ack, message, (sender, text) in zip(acks, alice.events("new-message"), expected, strict=True):
        assert message == {
            "messageId": ack["messageId"],
            "createdAt": ack["createdAt"],
            "roomId": room.id,
            "senderId": sender,
            "content": text,
            "messageType": "text",
            "clientMessageId": f"id of {text}",
        }
        assert ack["createdAt"].endswith("Z")
        assert datetime.fromisoformat(ack["createdAt"]).microsecond % 1000 == 0


async def test_history_follows_a_join(peer: PeerServer, room: Room, connect: Connect) -> None:
    """The newest 50, oldest first, in the shape of live messages, and to nobody but the one who joined."""
    await peer.store_messages(room.id, [room.alice], STORED)
    alice = await connect(peer.urls[0], room.tokens[room.alice])
    bob = await connect(peer.urls[1], room.tokens[room.bob])
    await alice.done("join_room", {"roomId": room.id})
    await alice.wait_for("message-history")
    await alice.done("send_message", {"roomId": room.id, "content": "the last"})
    await bob.done("join_room", {"roomId": room.id})
    history = await bob.wait_for("message-history")
    assert history["roomId"] == room.id
    contents = [message["content"].rstrip(".") for message in history["messages"]]
    assert contents == [*(f"message {number} " for number in range(STORED - 49, STORED)), "the last"]
    assert history["messages"][-1] == alice.events("new-message")[0]
    assert len(alice.events("message-history")) == 1


async def test_history_by_pages(peer: PeerServer, room: Room) -> None:
    """Pages of the REST history join without a gap, back to the first message."""
    await peer.store_messages(room.id, [room.alice, room.bob], STORED)
    headers = {"Authorization": f"Bearer {room.tokens[room.bob]}"}
    async with httpx2.AsyncClient(base_url=peer.url, headers=headers) as http:
        seen: list[dict[str, Any]] = []
        while True:
            query = {"roomId": room.id, "limit": "50"} | ({"before": peer.cursor(seen[0])} if seen else {})
            page = (await http.get("/history", params=query)).raise_for_status().json()["messages"]
            if not page:
                break
            seen = page + seen
    assert [message["content"] for message in seen] == [
        f"message {number} ".ljust(100, ".") for number in range(STORED)
    ]


async def test_history_is_for_members(peer: PeerServer, room: Room) -> None:
    """A stranger, a wrong token, a wrong query and a wrong path have a status each."""
    async with httpx2.AsyncClient(base_url=peer.url) as http:

        async def status(token: str, path: str = "/history", **query: Any) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return (await http.get(path, params={"roomId": room.id, **query}, headers=headers)).status_code

        assert await status(room.tokens[room.alice]) == 200
        assert await status(room.tokens[room.stranger]) == 403
        assert await status("nonsense") == 401
        for limit in ("0", "101", "1.5", "x"):
            assert await status(room.tokens[room.alice], limit=limit) == 400
        for before in ("x", f"x_{room.id}", "2026-01-01T00:00:00.000Z_x"):
            assert await status(room.tokens[room.alice], before=before) == 400
        assert await status(room.tokens[room.alice], path="/other") == 404


async def test_wrong_tokens_are_refused(peer: PeerServer, room: Room, connect: Connect) -> None:
    """A token of somebody else's making, of no algorithm, or none at all does not get in."""
    forged = jwt.encode({"sub": room.alice}, secrets.token_hex(32), algorithm="HS256")
    unsigned = jwt.encode({"sub": room.alice}, None, algorithm="none")
    for token in (forged, unsigned, room.tokens[room.alice] + "x", room.alice, ""):
        with pytest.raises(ConnectRefused) as refusal:
            await connect(peer.url, token)
        assert refusal.value.code == "unauthenticated"


async def test_only_members_join_and_send(peer: PeerServer, room: Room, connect: Connect) -> None:
    """A stranger neither joins nor sends, and a member sends only after the join."""
    alice = await connect(peer.url, room.tokens[room.alice])
    stranger = await connect(peer.url, room.tokens[room.stranger])
    message = {"roomId": room.id, "content": "let me in"}
    assert (await alice.refused("send_message", message))["code"] == "not_a_member"
    await alice.done("join_room", {"roomId": room.id})
    assert (await stranger.refused("join_room", {"roomId": room.id}))["code"] == "not_a_member"
    assert (await stranger.refused("join_room", {"roomId": {"$ne": ""}}))["code"] == "not_a_member"
    assert (await stranger.refused("send_message", message))["code"] == "not_a_member"
    assert (await alice.refused("send_message", {"roomId": room.id}))["code"] == "invalid"
    await alice.done("send_message", {"roomId": room.id, "content": "only this"})
    assert [message["content"] for message in alice.events("new-message")] == ["only this"]
    assert stranger.events("new-message") == []


async def test_queries_use_their_indexes(peer: PeerServer, room: Room, backing: Stack) -> None:
    """What the peers ask for is found in an index: no page of history sorts or scans a collection."""
    await peer.store_messages(room.id, [room.alice], STORED)
    async with AsyncMongoClient[dict[str, Any]](backing.mongo_url) as mongo:
        db = mongo[peer.database]
        order = [("createdAt", -1), ("_id", -1)]
        newest = db["messages"].find({"roomId": room.id}).sort(order).limit(50)
        stats = (await newest.explain())["executionStats"]
        assert (stats["totalKeysExamined"], stats["totalDocsExamined"]) == (50, 50)
        last = (await newest.to_list())[-1]
        here = {"$or": [{"createdAt": {"$lt": last["createdAt"]}}, {"_id": {"$lt": last["_id"]}}]}
        before = {"roomId": room.id, "createdAt": {"$lte": last["createdAt"]}, **here}
        stats = (await db["messages"].find(before).sort(order).limit(50).explain())["executionStats"]
        assert (stats["totalKeysExamined"], stats["totalDocsExamined"]) == (51, 51)
        member = db["members"].find({"roomId": room.id, "userId": room.alice}, {"_id": 0, "userId": 1})
        stats = (await member.explain())["executionStats"]
        assert (stats["totalKeysExamined"], stats["totalDocsExamined"]) == (1, 0)


async def test_stored_by_the_time_of_the_answer(
    peer: PeerServer, room: Room, connect: Connect, backing: Stack
) -> None:
    """An acknowledged message is in the database."""
    alice = await connect(peer.url, room.tokens[room.alice])
    await alice.done("join_room", {"roomId": room.id})
    sent = await alice.done("send_message", {"roomId": room.id, "content": "kept"})
    async with AsyncMongoClient[dict[str, Any]](backing.mongo_url) as mongo:
        stored = await mongo[peer.database]["messages"].find_one({"_id": ObjectId(sent["messageId"])})
    assert stored is not None
    assert (stored["senderId"], stored["content"]) == (room.alice, "kept")


async def test_node_without_durability(backing: Stack, tmp_path: Path, connect: Connect) -> None:
    """It answers at once, and stores the message all the same."""
    peer = await started(new_peer("node", backing, tmp_path, durable=False))
    try:
        room = Room()
        await room.provide(peer)
        alice = await connect(peer.url, room.tokens[room.alice])
        await alice.done("join_room", {"roomId": room.id})
        sent = await alice.done("send_message", {"roomId": room.id, "content": "perhaps"})
        await alice.wait_for("new-message")
        async with AsyncMongoClient[dict[str, Any]](backing.mongo_url) as mongo:
            messages = mongo[peer.database]["messages"]
            await eventually(lambda: messages.find_one({"_id": ObjectId(sent["messageId"])}))
    finally:
        await peer.stop()


async def test_a_start_that_fails_says_why(backing: Stack, tmp_path: Path) -> None:
    """The end of the log is in the error, and the folder is free again."""
    peer = new_peer("stock", backing, tmp_path, mongo_url="http://no-mongodb")
    for _ in range(2):
        with pytest.raises(StartFailed, match=r"stock-1 ended with exit code 1[\s\S]*InvalidURI"):
            await peer.start()


async def test_sigterm_ends_a_peer_with_clients(
    peer: PeerServer, backing: Stack, tmp_path: Path, connect: Connect
) -> None:
    """Its clients are told, and the process does not have to be killed."""
    lines: list[str] = []
    other = await started(new_peer(peer.kind, backing, tmp_path, report=lines.append))
    try:
        room = Room()
        await room.provide(other)
        alice = await connect(other.url, room.tokens[room.alice])
    finally:
        await other.stop()
    await alice.wait_disconnected()
    assert lines == []
