"""`chat` against a running installation: seed, user, token, say."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pytest
from chat_local.client.api import Api
from chat_local.client.demo import load_demo
from chat_local.client.errors import Refused
from chat_local.client.session import log_in
from chat_local.client.talking import Talk, TurnedAway
from chat_local.probes import http_status
from chat_shared.testing import ApiClient, NewRoom, NewUser, User, eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

SECONDS = 60
DEMO = load_demo()
PASSWORD = "another horse 43 battery"


@dataclass
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def done(self) -> str:
        """Return what it printed, after a look that it worked."""
        assert self.code == 0, self
        return self.out.strip()

    def failed(self) -> str:
        """Return its one line about why it failed."""
        assert (self.code, len(self.err.splitlines())) == (1, 1), self
        return self.err.strip()


class Running:
    """A command that goes on until it is interrupted."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []
        self.notes: list[str] = []
        self._readers = [
            asyncio.create_task(self._read(process.stdout, self.lines)),
            asyncio.create_task(self._read(process.stderr, self.notes)),
        ]

    async def _read(self, stream: asyncio.StreamReader | None, lines: list[str]) -> None:
        assert stream is not None
        async for line in stream:
            lines.append(line.decode().rstrip())

    async def shows(self, text: str, timeout: float = 20) -> None:
        await eventually(lambda: any(text in line for line in self.lines), timeout, f"{text} in {self.lines}")

    async def notes_that(self, text: str, timeout: float = 20) -> None:
        await eventually(lambda: any(text in line for line in self.notes), timeout, f"{text} in {self.notes}")

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def end(self) -> int:
        """Press Ctrl-C, if it still runs, and return the exit code."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        return await self.ended()

    async def ended(self) -> int:
        """Return the exit code once it has ended by itself."""
        code = await asyncio.wait_for(self._process.wait(), SECONDS)
        await asyncio.gather(*self._readers)
        return code


class Chat:
    """Runs commands against one installation."""

    def __init__(self, url: str) -> None:
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
        self._environ["CHAT_URL"] = url

    async def start(self, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_local", *arguments),
            env={**self._environ, **environ},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )

    async def run(self, *arguments: str, typed: str = "", **environ: str) -> Outcome:
        process = await self.start(*arguments, **environ)
        out, err = await asyncio.wait_for(process.communicate(typed.encode()), SECONDS)
        assert process.returncode is not None
        return Outcome(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def running(self, *arguments: str, **environ: str) -> AsyncIterator[Running]:
        running = Running(await self.start(*arguments, **environ))
        try:
            yield running
        finally:
            await running.end()


@pytest.fixture(scope="module")
def chat(chat_url: str) -> Chat:
    return Chat(chat_url)


@pytest.fixture(scope="module")
def operator(own_stack: "Stack") -> Callable[..., Awaitable[Outcome]]:
    """Runs `chat user`."""
    chat = Chat(own_stack.url)
    settings = {
        "CHAT_AUTH_URLS": own_stack.process("auth-1").url,
        "CHAT_SERVICE_TOKEN": own_stack.secrets["chat_service_token"],
    }

    async def run(*arguments: str, typed: str = "") -> Outcome:
        return await chat.run("user", *arguments, typed=typed, **settings)

    return run


async def contents(api: ApiClient, user: User, room_id: str) -> list[str]:
    page = await api.data("GET", f"/room/{room_id}/messages", user, params={"limit": 100})
    return [message["content"] for message in page["messages"]]


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


class TestToken:
    async def test_works_with_rest(self, chat: Chat, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        token = (await chat.run("token", user.username, typed=user.password)).done()
        assert (await api.data("GET", "/auth/me", User(user.id, "", "", "", token)))["id"] == user.id

    async def test_as_json_by_address(self, chat: Chat, new_user: NewUser) -> None:
        user = await new_user()
        told = json.loads((await chat.run("token", user.email, "--json", typed=user.password)).done())
        assert set(told) == {"accessToken", "expiresIn", "expiresAt", "userId", "username"}
        assert (told["userId"], told["expiresIn"]) == (user.id, 900)

    async def test_wrong_password(self, chat: Chat, alice: User) -> None:
        why = (await chat.run("token", alice.username, typed="not this one")).failed()
        assert "(wrong_credentials)" in why


class TestSession:
    async def test_a_token_near_its_end_is_exchanged(self, chat_url: str, alice: User) -> None:
        async with Api(chat_url) as api:
            session = await log_in(api, alice.username, alice.password)
            first = await session.token()
            assert await session.token() == first
            session.expires_at = time.time() + 5
            assert await session.token() != first
            assert (await session.call("GET", "/api/v1/auth/me")).data["id"] == alice.id
            await session.end()
            with pytest.raises(Refused, match="unauthenticated"):
                await session.call("GET", "/api/v1/auth/me")

    async def test_who_cannot_refresh_does_not_come_back(
        self, chat_url: str, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        async with Api(chat_url) as api:
            session = await log_in(api, alice.username, alice.password)
            await session.end()
            session.expires_at = 0
            talk = Talk(session, room["id"])
            async with talk.connected():
                with pytest.raises(TurnedAway, match="invalid_refresh_token"):
                    await asyncio.wait_for(talk.send("never", "never"), SECONDS)


class TestUser:
    async def test_create_show_and_delete(self, operator: Any, api: ApiClient) -> None:
        name = f"carol_{secrets.token_hex(4)}"
        fields = (f"--email={name}@example.org", "--firstname=Carol")
        made = await operator("create", name, *fields, typed=PASSWORD)
        user_id = made.done().rpartition(" ")[2]
        user = await api.login(User(user_id, name, "", PASSWORD))
        shown = (await operator("show", f"{name}@example.org")).done().splitlines()
        facts = [
            f"id        {user_id}",
            f"username  {name}",
            "name      Carol",
            "sessions  1",
            "online    no",
        ]
        assert [fact for fact in [*facts, "name      Carol"] if fact not in shown] == []

        asked = await operator("delete", name, typed="n\n")
        assert asked.code == 1
        assert (await operator("delete", name, typed="y\n")).code == 0
        assert (await api.send("GET", "/auth/me", user)).status_code == 401
        assert "(user_not_found)" in (await operator("show", name)).failed()

    async def test_passwords_are_not_shown(self, operator: Any) -> None:
        name = f"carol_{secrets.token_hex(4)}"
        made = await operator("create", name, f"--email={name}@example.org", typed=PASSWORD)
        assert PASSWORD not in made.out + made.err
        weak = await operator("password", name, typed="password1")
        assert "newPassword" in weak.failed()
        assert "password1" not in weak.out + weak.err

    async def test_sign_out_closes_sockets(self, operator: Any, new_user: NewUser, connect: Any) -> None:
        user = await new_user()
        socket = await connect(user)
        assert json.loads((await operator("show", user.username, "--json")).done())["isOnline"] is True
        assert (await operator("sign-out", user.username)).done() == f"Ended 1 sessions of {user.username}"
        await socket.wait_disconnected()

    async def test_a_forgotten_password(self, operator: Any, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        assert "ended 1 sessions" in (await operator("password", user.id, typed=PASSWORD)).done()
        user.password = PASSWORD
        await api.login(user)

    async def test_list(self, operator: Any, new_user: NewUser) -> None:
        first, second = await new_user(), await new_user()
        listed = await operator("list", f"--after={first.id}", "--limit=1")
        assert listed.done().splitlines()[1].split()[:2] == [second.id, second.username]
        assert f"chat user list --after {second.id}" in listed.err

    async def test_without_the_service_token(self, own_stack: "Stack", chat: Chat) -> None:
        settings = {"CHAT_AUTH_URLS": own_stack.process("auth-1").url, "CHAT_SERVICE_TOKEN": "x" * 40}
        assert "(unauthenticated)" in (await chat.run("user", "show", "alice", **settings)).failed()


class TestSayOnce:
    async def test_by_id_and_by_name(
        self, chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice, roomType="private")
        as_alice = ("--as", alice.username)
        sent = await chat.run("say", room["id"], "by id", *as_alice, typed=alice.password)
        assert (sent.done(), sent.err) == ("seq 1", "")
        sent = await chat.run("say", room["roomName"], "by name", CHAT_TOKEN=alice.access_token)
        assert sent.done() == "seq 2"
        assert await contents(api, alice, room["id"]) == ["by id", "by name"]

    async def test_a_public_room_is_joined(
        self, chat: Chat, alice: User, new_user: NewUser, new_room: NewRoom
    ) -> None:
        room, bob = await new_room(alice), await new_user()
        sent = await chat.run("say", room["roomName"], "hi", CHAT_TOKEN=bob.access_token)
        assert (sent.done(), sent.err.strip()) == ("seq 1", f"Joined {room['roomName']}")

    async def test_of_two_rooms_the_id_is_wanted(self, chat: Chat, alice: User, new_room: NewRoom) -> None:
        name = f"twin {secrets.token_hex(4)}"
        rooms = [await new_room(alice, roomName=name) for _ in range(2)]
        why = (await chat.run("say", name, "hi", CHAT_TOKEN=alice.access_token)).failed()
        assert all(room["id"] in why for room in rooms)

    async def test_where_nobody_may_know_of_the_room(
        self, chat: Chat, alice: User, bob: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice, roomType="private")
        for wanted in (room["id"], room["roomName"], "0" * 24):
            why = (await chat.run("say", wanted, "hi", CHAT_TOKEN=bob.access_token)).failed()
            assert "No room of yours and no public room" in why

    async def test_each_line_of_a_pipe(
        self, chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        typed = f"{alice.password}\none\n\ntwo"
        sent = await chat.run("say", room["id"], "--as", alice.username, typed=typed)
        assert sent.done().splitlines() == ["seq 1", "seq 2"]
        assert await contents(api, alice, room["id"]) == ["one", "two"]

    async def test_the_same_id_is_one_message(
        self, chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        said = ("say", room["id"], "once", "--id=mine")
        for expected in ("seq 1", "seq 1 (was there already)"):
            assert (await chat.run(*said, CHAT_TOKEN=alice.access_token)).done() == expected
        other = await chat.run("say", room["id"], "else", "--id=mine", CHAT_TOKEN=alice.access_token)
        assert other.failed() == "Not sent: idempotency_conflict"
        assert await contents(api, alice, room["id"]) == ["once"]

    async def test_its_session_ends_with_it(self, chat: Chat, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        await chat.run("say", "0" * 24, "hi", "--as", user.username, typed=user.password)
        assert len(await api.data("GET", "/auth/sessions", user)) == 1

    async def test_while_no_gateway_is_there(
        self, own_stack: "Stack", chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        async with no_gateways(own_stack):
            said = ("say", room["id"], "patience", "--id=gone", "--timeout=2")
            why = (await chat.run(*said, CHAT_TOKEN=alice.access_token)).failed()
            assert "No acknowledgement within 2 s" in why
            assert why.endswith("--id gone")
            waiting = asyncio.create_task(
                chat.run("say", room["id"], "patience", "--id=gone", CHAT_TOKEN=alice.access_token)
            )
            done, _ = await asyncio.wait({waiting}, timeout=1)
            assert not done
        assert (await waiting).done() == "seq 1"
        assert await contents(api, alice, room["id"]) == ["patience"]


@asynccontextmanager
async def no_gateways(stack: "Stack") -> AsyncIterator[None]:
    gateways = stack.instances("gateway-ws")
    for gateway in gateways:
        gateway.auto_restart = False
        gateway.kill()
        await gateway.wait_exit()
    try:
        yield
    finally:
        for gateway in gateways:
            gateway.auto_restart = True
            await gateway.restart()
            await gateway.wait_ready()


class Terminal:
    """A command at a terminal of its own: what a person sees, and what they type."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self._arguments = arguments
        self._environ = environ
        self.screen = ""

    async def __aenter__(self) -> Self:
        self._master, slave = os.openpty()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_local", *self._arguments),
            env={**os.environ, **self._environ},
            preexec_fn=lambda: os.login_tty(slave),
        )
        os.close(slave)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    def _read(self) -> None:
        try:
            self.screen += os.read(self._master, 65_536).decode()
        except OSError:  # nobody has the other side any more
            asyncio.get_running_loop().remove_reader(self._master)

    async def shows(self, text: str) -> None:
        await eventually(lambda: text in self.screen, 20, f"{text} on {self.screen}")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    async def ended(self) -> int:
        return await asyncio.wait_for(self._process.wait(), SECONDS)


class TestAtATerminal:
    @pytest.mark.parametrize("way_out", ["\x03", "\x04"])
    async def test_the_room_is_shown(
        self, chat_url: str, alice: User, new_room: NewRoom, way_out: str
    ) -> None:
        room = await new_room(alice)
        command = ("say", room["id"], "--as", alice.username)
        async with Terminal(*command, CHAT_URL=chat_url) as terminal:
            await terminal.shows(f"Password of {alice.username}: ")
            terminal.type(f"{alice.password}\n")
            await terminal.shows("what you type is sent")
            terminal.type("at the terminal\n")
            await terminal.shows(f"{alice.username}: at the terminal")
            terminal.type(way_out)
            assert await terminal.ended() == 0
        assert alice.password not in terminal.screen
        assert "Traceback" not in terminal.screen

    async def test_progress(self, chat_url: str) -> None:
        async with Terminal("seed", CHAT_URL=chat_url) as terminal:
            await terminal.shows("100%")
            assert await terminal.ended() == 0
        assert "Messages  [" in terminal.screen


class TestFollow:
    async def test_history_live_and_typed(
        self, chat: Chat, api: ApiClient, alice: User, bob: User, new_room: NewRoom
    ) -> None:
        room, other = await new_room(alice, bob), await new_room(alice, bob)
        for number in range(4):
            await self.send(api, bob, room, f"early {number}")
        await self.send(api, bob, other, "elsewhere")
        follow = ("say", room["id"], "--follow", "--history=2")
        async with chat.running(*follow, CHAT_TOKEN=alice.access_token) as running:
            await running.shows(f"{bob.username}: early 3")
            await self.send(api, bob, other, "elsewhere")
            await self.send(api, bob, room, "one\ntwo \x1b[2J")
            await running.shows("two ?[2J")
            running.type("typed by alice")
            await running.shows(f"{alice.username}: typed by alice")
            assert await running.end() == 0
        assert [line.partition("  ")[2].strip() for line in running.lines] == [
            f"{bob.username}: early 2",
            f"{bob.username}: early 3",
            f"{bob.username}: one",
            "two ?[2J",
            f"{alice.username}: typed by alice",
        ]
        assert "Traceback" not in "\n".join(running.notes)

    async def test_through_the_loss_of_all_gateways(
        self, own_stack: "Stack", chat: Chat, api: ApiClient, alice: User, bob: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice, bob)
        async with chat.running("say", room["id"], "--follow", CHAT_TOKEN=alice.access_token) as running:
            await self.send(api, bob, room, "before")
            await running.shows("before")
            async with no_gateways(own_stack):
                await running.notes_that("No connection")
                running.type("typed meanwhile")
                await self.send(api, bob, room, "missed")
            await running.notes_that("Connected again", 40)
            await running.shows("typed meanwhile")
        assert [line.rpartition(": ")[2] for line in running.lines] == ["before", "missed", "typed meanwhile"]
        assert len(running.notes) == 3, running.notes

    async def test_who_is_signed_out_is_told(
        self, chat: Chat, api: ApiClient, new_user: NewUser, new_room: NewRoom
    ) -> None:
        user = await new_user()
        room = await new_room(user)
        await self.send(api, user, room, "here")
        async with chat.running("say", room["id"], "--follow", CHAT_TOKEN=user.access_token) as running:
            await running.shows("here")
            await api.call("POST", "/auth/logout", user)
            await running.notes_that("The installation ended the connection")
            assert await running.ended() == 1

    async def send(self, api: ApiClient, user: User, room: dict[str, Any], content: str) -> None:
        await api.call("POST", f"/room/{room['id']}/messages", user, status=201, json={"content": content})
