"""`chat seed`: once is enough, and never in production."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from chat_local.client.demo import load_demo
from chat_local.probes import http_status
from chat_shared.testing import ApiClient, User, eventually

from .programs import Chat, Terminal, contents

if TYPE_CHECKING:
    from chat_local.stack import Stack

DEMO = load_demo()
PASSWORD = "another horse 43 battery"


@asynccontextmanager
async def production_auth(stack: "Stack") -> AsyncIterator[str]:
    """An auth of production on the stores of the stack."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chat_auth"),
        env={
            "CHAT_ENVIRONMENT": "production",
            "CHAT_PORT": str(port),
            "CHAT_INSTANCE": "auth-production",
            "CHAT_SERVICE_TOKEN": stack.secrets["chat_service_token"],
            "CHAT_MASTER_KEYS": stack.secrets["chat_master_keys"],
            "CHAT_MONGO_URL": stack.mongo_url,
            "CHAT_REDIS_URL": stack.redis_url,
            "CHAT_AMQP_URL": stack.amqp_url,
            "CHAT_DRAIN_WAIT_SECONDS": "0",
        },
        stdout=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    async def is_ready() -> bool:
        return await http_status(f"{url}/readyz") == 200

    try:
        await eventually(is_ready, 30, "auth of production is ready")
        yield url
    finally:
        process.terminate()
        await process.wait()


class TestSeed:
    async def test_twice(self, chat: Chat, api: ApiClient) -> None:
        first = (await chat.run("seed")).done()
        assert f"alice and bob, {len(DEMO.rooms)} rooms and 288 messages" in first
        assert DEMO.password in first
        before = await self.everything(api)
        assert {name: self.of_the_demo(texts) for name, texts in before.items()} == {
            room.name: [text for _, text in room.messages] for room in DEMO.rooms
        }
        second = (await chat.run("seed")).done()
        assert "new of them: 0 users, 0 rooms, 0 messages." in second
        assert await self.everything(api) == before

    def of_the_demo(self, texts: list[str]) -> list[str]:
        """Return what the demo says among what is said in a room; other tests talk there, too."""
        said = {text for room in DEMO.rooms for _, text in room.messages}
        return [text for text in texts if text in said]

    async def everything(self, api: ApiClient) -> dict[str, list[str]]:
        """Return what is said in the demo's rooms, in which both users see the same."""
        names = {room.name for room in DEMO.rooms}
        seen = []
        for demo_user in DEMO.users.values():
            user = await api.login(User("", demo_user.username, demo_user.email, DEMO.password))
            rooms = [room for room in await api.data("GET", "/room", user) if room["roomName"] in names]
            assert len(rooms) == len(names)
            seen.append({room["roomName"]: await contents(api, user, room["id"]) for room in rooms})
            await api.call("POST", "/auth/logout", user)
        assert seen[0] == seen[1]
        return seen[0]

    async def test_its_sessions_end_with_it(self, chat: Chat, api: ApiClient) -> None:
        (await chat.run("seed")).done()
        user = await api.login(User("", "alice", "", DEMO.password))
        before = await api.data("GET", "/auth/sessions", user)
        (await chat.run("seed")).done()
        assert await api.data("GET", "/auth/sessions", user) == before
        await api.call("POST", "/auth/logout", user)

    async def test_an_alice_of_somebody_else(self, chat: Chat, operator: Any) -> None:
        (await chat.run("seed")).done()
        try:
            (await operator("password", "alice", typed=PASSWORD)).done()
            assert "There is an account alice with another password" in (await chat.run("seed")).failed()
        finally:
            (await operator("password", "alice", typed=DEMO.password)).done()

    async def test_production_says_no_itself(self, own_stack: "Stack") -> None:
        """Also through a tunnel, which has an address of this machine."""
        async with production_auth(own_stack) as url:
            why = (await Chat(url).run("seed")).failed()
        assert why == f"No demo data there: {url} says that it is a production installation."

    async def test_progress(self, chat_url: str) -> None:
        async with Terminal("seed", CHAT_URL=chat_url) as terminal:
            await terminal.shows("100%")
            assert await terminal.ended() == 0
        assert "Messages  [" in terminal.screen
