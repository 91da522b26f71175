"""A gateway whose subscription brings nothing finds out, says so, mends it, and misses no message."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from chat_shared.redis import connect_redis
from chat_shared.testing import Connect, NewRoom, NewUser, eventually
from redis.asyncio import Redis

if TYPE_CHECKING:
    from chat_local.stack import Stack

STALENESS_SECONDS = 5.0
DETECTION_SECONDS = 10.0
"""Five, and a little for a machine that is busy."""

Append = Callable[[str, str, Sequence[str]], Awaitable[None]]


class RedisProxy:
    """Stands before Redis and can swallow what is published, while every command and ping is answered."""

    def __init__(self, redis_url: str) -> None:
        self._redis = (urlsplit(redis_url).hostname, urlsplit(redis_url).port)
        self._connections: set[asyncio.Task[None]] = set()
        self.swallows = False
        self.pings = 0
        """Pings on a subscription that were answered while it was deaf."""

    async def start(self) -> int:
        """Begin to listen; return the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close everything."""
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        redis_reader, redis_writer = await asyncio.open_connection(*self._redis)
        forward = asyncio.create_task(self._copy(reader, redis_writer))
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._answer(redis_reader, writer)
        finally:
            forward.cancel()
            redis_writer.close()
            writer.close()
            self._connections.discard(task)

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subscribed = False
        while True:
            reply = await read_reply(reader)
            is_message = b"\r\nmessage\r\n" in reply[:24]
            subscribed = subscribed or is_message
            if self.swallows and is_message:
                continue
            self.pings += self.swallows and subscribed and b"pong" in reply[:24].lower()
            writer.write(reply)
            await writer.drain()


async def read_reply(reader: asyncio.StreamReader) -> bytes:
    """Return one complete reply of Redis, as it is on the wire."""
    head = await reader.readuntil(b"\r\n")
    kind, count = head[:1], head[1:-2]
    if kind in b"$=" and count != b"-1":
        return head + await reader.readexactly(int(count) + 2)
    if kind in b"*~>%" and count != b"-1":
        parts = [await read_reply(reader) for _ in range(int(count) * (2 if kind == b"%" else 1))]
        return head + b"".join(parts)
    return head


@pytest.fixture
async def proxy(own_stack: "Stack") -> AsyncIterator[RedisProxy]:
    """What is between the second gateway and Redis."""
    gateway, proxy = own_stack.process("gateway-ws-2"), RedisProxy(own_stack.redis_url)
    address = urlsplit(own_stack.redis_url)
    url = address._replace(
        netloc=address.netloc.replace(str(address.port), str(await proxy.start()))
    ).geturl()
    await gateway.restart(extra_env={"CHAT_REDIS_URL": url})
    await gateway.wait_ready()
    yield proxy
    await gateway.restart()
    await gateway.wait_ready()
    await proxy.stop()


@pytest.fixture
async def redis(own_stack: "Stack") -> AsyncIterator["Redis"]:
    """The Redis of the stack."""
    client = connect_redis(own_stack.redis_url)
    yield client
    await client.aclose()


async def readiness(stack: "Stack") -> str:
    """Return what the second gateway says about its subscription."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{stack.process('gateway-ws-2').url}/readyz") as answer,
    ):
        said: str = (await answer.json())["subscription"]
        assert (answer.status == 200) == (said == "ok")
        return said


async def is_ready(stack: "Stack") -> bool:
    """Tell whether the second gateway hears what is published."""
    return await readiness(stack) == "ok"


async def breaks(stack: "Stack", reason: str) -> float:
    """Return how often the second gateway has built its subscription anew."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{stack.process('gateway-ws-2').url}/metrics") as answer,
    ):
        text = await answer.text()
    found = re.search(
        rf'^chat_gateway_subscription_breaks_total\{{.*"{reason}".*\}} (\S+)$', text, re.MULTILINE
    )
    return float(found[1]) if found else 0


async def test_pings_are_answered_and_nothing_arrives(
    own_stack: "Stack", proxy: RedisProxy, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    alice, bob = await new_user(), await new_user()
    room = await new_room(alice, bob)
    speaker, listener = await connect(alice, gateway=0), await connect(bob, gateway=1)
    await speaker.done("send_message", {"roomId": room["id"], "content": "heard"})
    await listener.wait_for_many("new-message", 1)
    proxy.swallows = True
    await speaker.done("send_message", {"roomId": room["id"], "content": "swallowed"})
    await listener.wait_for_many("new-message", 2, timeout=STALENESS_SECONDS)

    async def has_said(text: str) -> bool:
        return text in await readiness(own_stack)

    # The connection is a new one then, and proves nothing by itself.
    await eventually(lambda: has_said("brings nothing"), timeout=DETECTION_SECONDS)
    assert proxy.pings > 0
    assert await breaks(own_stack, "deaf") == 1
    proxy.swallows = False
    await eventually(lambda: is_ready(own_stack), timeout=DETECTION_SECONDS)
    await speaker.done("send_message", {"roomId": room["id"], "content": "heard again"})
    seen = await listener.wait_for_many("new-message", 3, timeout=1)
    assert [message["seq"] for message in seen] == [1, 2, 3]
    assert listener.connected


async def test_redis_ends_the_subscription(
    own_stack: "Stack", redis: "Redis", new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    alice = await new_user()
    room = await new_room(alice)
    listener = await connect(alice, gateway=1)
    before = await breaks(own_stack, "lost")
    for number in range(5):
        await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await listener.done("send_message", {"roomId": room["id"], "content": str(number)})
    seen = await listener.wait_for_many("new-message", 5, timeout=STALENESS_SECONDS)
    assert [message["seq"] for message in seen] == [1, 2, 3, 4, 5]
    await eventually(lambda: is_ready(own_stack))
    assert await breaks(own_stack, "lost") > before


async def test_redis_drops_a_gateway_that_is_too_far_behind(
    own_stack: "Stack",
    redis: "Redis",
    new_user: NewUser,
    new_room: NewRoom,
    connect: Connect,
    append: Append,
) -> None:
    """More than Redis keeps for a subscriber: it is dropped, and what was in there comes from the log."""
    alice = await new_user()
    room = await new_room(alice)
    listener = await connect(alice, gateway=1)
    before = await breaks(own_stack, "lost")
    gateway = own_stack.process("gateway-ws-2")

    async def dropped() -> int:
        number: int = (await redis.info("stats"))["client_output_buffer_limit_disconnections"]
        return number

    dropped_before = await dropped()

    async def is_dropped() -> bool:
        return await dropped() > dropped_before

    usual = (await redis.config_get("client-output-buffer-limit"))["client-output-buffer-limit"]
    await redis.config_set("client-output-buffer-limit", "pubsub 1mb 0 0")
    try:
        gateway.kill(signal.SIGSTOP)
        frame = {"frames": [('42["typing",{}]' + " " * 1_000_000, alice.id)]}
        async with asyncio.timeout(20):
            while not await is_dropped():
                await redis.publish(f"room:{room['id']}", orjson.dumps(frame))
        await append(room["id"], alice.id, [str(number) for number in range(20)])
    finally:
        gateway.kill(signal.SIGCONT)
        await redis.config_set("client-output-buffer-limit", usual)
    seen = await listener.wait_for_many("new-message", 20, timeout=STALENESS_SECONDS)
    assert [message["seq"] for message in seen] == list(range(1, 21))

    async def was_noticed() -> bool:
        return await breaks(own_stack, "lost") > before

    await eventually(was_noticed)
