"""The stock JavaScript client, as applications use it, talks through Traefik."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from chat_shared.testing import ApiClient, NewRoom, NewUser, User, check_message, eventually
from chat_shared.testing.event_contract import check_acknowledgement, check_event

DRIVER = Path(__file__).parent / "js" / "client.mjs"
WAIT_SECONDS = 10.0

#: What applications pass to `io()`; polling meets one gateway because the client sends Traefik's cookie.
CLIENT_OPTIONS: dict[str, dict[str, Any]] = {
    "default transports": {"withCredentials": True},
    "polling only": {"withCredentials": True, "transports": ["polling"]},
    "websocket only": {"transports": ["websocket"]},
}


class JavaScriptClient:
    """A Node process with one connection; `received` holds all that it reported, in order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._changed = asyncio.Event()
        self._calls = 0
        self._reader = asyncio.create_task(self._read())
        self.received: list[dict[str, Any]] = []

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            report = json.loads(line)
            self.received.append(report)
            if report["kind"] == "event":
                check_event(report["event"], report["payload"])
            elif report["kind"] == "refused":
                check_event("connect_error", {name: report[name] for name in ("message", "data")})
            self._changed.set()

    async def wait_for(self, **expected: Any) -> dict[str, Any]:
        """Return the first report with these values."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    for report in self.received:
                        if expected.items() <= report.items():
                            return report
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {expected} among {self.received}") from None

    async def wait_for_message(self, message_id: str) -> None:
        """Return when this message has arrived."""
        await eventually(lambda: message_id in {message["messageId"] for message in self.messages()})

    async def call(self, event: str, payload: Any) -> dict[str, Any]:
        """Send an event and return its acknowledgement."""
        self._calls += 1
        self._write({"id": self._calls, "event": event, "payload": payload})
        answer: dict[str, Any] = (await self.wait_for(kind="ack", id=self._calls))["answer"]
        check_acknowledgement(event, answer)
        return answer

    def disconnect(self) -> None:
        """Say goodbye."""
        self._write({"disconnect": True})

    def messages(self) -> list[dict[str, Any]]:
        """Return the live messages so far."""
        return [report["payload"] for report in self.received if report.get("event") == "new-message"]

    def _write(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")

    async def end(self) -> None:
        """End the process."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader


StartClient = Callable[[User, dict[str, Any]], Awaitable[JavaScriptClient]]


@pytest.fixture(scope="module")
def node() -> str:
    """The Node.js program; its absence is a failure, since nothing else shows that stock clients work."""
    program = shutil.which("node")
    if program is None:
        pytest.fail("node is missing: install Node.js 18 or newer, or run `make test`, which fetches it")
    if not (DRIVER.parent / "node_modules" / "socket.io-client").is_dir():
        pytest.fail(f"socket.io-client is missing: run `npm ci --prefix {DRIVER.parent}`, or `make test`")
    return program


@pytest_asyncio.fixture
async def start_client(node: str, chat_url: str) -> AsyncIterator[StartClient]:
    """Starts Node processes, and ends them after the test."""
    clients: list[JavaScriptClient] = []

    async def start(user: User, options: dict[str, Any]) -> JavaScriptClient:
        process = await asyncio.create_subprocess_exec(
            node,
            str(DRIVER),
            chat_url,
            user.access_token,
            json.dumps(options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        clients.append(JavaScriptClient(process))
        return clients[-1]

    yield start
    for client in clients:
        await client.end()


@pytest.mark.parametrize("options", CLIENT_OPTIONS.values(), ids=CLIENT_OPTIONS)
async def test_two_people_chat(
    options: dict[str, Any], start_client: StartClient, new_user: NewUser, new_room: NewRoom
) -> None:
    """Both see both messages, in order, once."""
    alice, bob = await new_user(), await new_user()
    room_id = (await new_room(alice, bob))["id"]
    at_alice, at_bob = await start_client(alice, options), await start_client(bob, options)
    await at_alice.wait_for(kind="connected")
    await at_bob.wait_for(kind="connected")

    joined = await at_bob.call("join_room", {"roomId": room_id})
    assert (joined["ok"], joined["roomId"], joined["head"], joined["reset"]) == (True, room_id, 0, False)
    for client, text in ((at_alice, "hello"), (at_bob, "hello yourself")):
        sent = await client.call("send_message", {"roomId": room_id, "content": text, "messageType": "text"})
        assert sent["ok"] is True, sent
        for reader in (at_alice, at_bob):
            await reader.wait_for_message(sent["messageId"])

    assert at_alice.messages() == at_bob.messages()
    seen = [check_message(message) for message in at_bob.messages()]
    assert [(m.seq, m.sender_id, m.content) for m in seen] == [
        (1, alice.id, "hello"),
        (2, bob.id, "hello yourself"),
    ]


async def test_default_transports_end_on_websocket(start_client: StartClient, new_user: NewUser) -> None:
    """The client begins with polling and upgrades, on the same gateway."""
    client = await start_client(await new_user(), CLIENT_OPTIONS["default transports"])
    await client.wait_for(kind="opened", transport="polling")
    await client.wait_for(kind="upgraded", transport="websocket")


async def test_polling_stays_polling(start_client: StartClient, new_user: NewUser, new_room: NewRoom) -> None:
    """Many requests of one polling session meet one gateway: none of them is refused as unknown."""
    alice = await new_user()
    room_id = (await new_room(alice))["id"]
    client = await start_client(alice, CLIENT_OPTIONS["polling only"])
    await client.wait_for(kind="opened", transport="polling")
    for number in range(1, 11):
        answer = await client.call("send_message", {"roomId": room_id, "content": f"line {number}"})
        assert answer["seq"] == number
    assert not [report for report in client.received if report["kind"] == "disconnected"]


async def test_wrong_token_is_a_connect_error(start_client: StartClient, new_user: NewUser) -> None:
    """The client learns why, and whether to try again."""
    alice = await new_user()
    alice.access_token += "x"
    client = await start_client(alice, CLIENT_OPTIONS["websocket only"])
    refusal = await client.wait_for(kind="refused")
    assert refusal["data"] == {"code": "unauthenticated", "retryable": False}


async def test_logout_ends_the_connection_for_good(
    start_client: StartClient, new_user: NewUser, chat_url: str, api: ApiClient
) -> None:
    """`session-ended` says why; the disconnect is one after which the client does not come back by itself."""
    alice = await new_user()
    client = await start_client(alice, {"transports": ["websocket"], "reconnection": True})
    await client.wait_for(kind="connected")
    await api.call("POST", "/auth/logout", alice)
    ended = await client.wait_for(kind="event", event="session-ended")
    assert ended["payload"] == {"reason": "logout", "reconnect": False}
    await client.wait_for(kind="disconnected", reason="io server disconnect")
