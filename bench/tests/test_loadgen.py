"""The load generator counts what really happened: with a server that does wrong on purpose, and with ours."""

import asyncio
import json
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from chat_local.stack import Stack
from chat_shared.testing import ApiClient, User, eventually
from fake_chat import CLOSE, CONTINUATION, PING, PONG, Client, FakeChat, Message, frame

NATIVE = Path(__file__).parents[1] / "native"
ROOM, OTHER_ROOM = "a" * 24, "b" * 24
ANSWER_SECONDS = 40.0

pytestmark = pytest.mark.skipif(
    not (shutil.which("gcc") or shutil.which("cc")) or not shutil.which("make"),
    reason="the load generator is written in C: needs gcc and make",
)


# --- The programs ---


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of the compiled programs; BENCH_NATIVE_BUILD names others, such as the sanitized ones."""
    if own := os.environ.get("BENCH_NATIVE_BUILD"):
        return Path(own)
    subprocess.run(["make", "-s", "-C", str(NATIVE)], check=True)
    return NATIVE / "build"


class Loadgen:
    """A running load generator. Use as an async context manager."""

    def __init__(self, program: Path, plan: Path) -> None:
        self._program, self._plan = program, plan

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            self._program, self._plan, stdin=pipe, stdout=pipe, stderr=pipe
        )
        return self

    async def __aexit__(self, *_failure: object) -> None:
        """End it, and check that it ended well: a sanitizer would have said otherwise."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), ANSWER_SECONDS)
        except TimeoutError:
            self._process.kill()
            raise
        assert self._process.returncode == 0, await self.complaints()

    async def __call__(self, command: str) -> dict[str, Any]:
        """Give a command and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n".encode())
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_SECONDS)
        assert line, await self.complaints()
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def complaints(self) -> str:
        """Return what it has written to stderr, at its end."""
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode()


# --- The server ---

Started = Callable[..., AbstractAsyncContextManager[Loadgen]]


@pytest.fixture
def chat() -> FakeChat:
    """The server; it runs while a generator does."""
    return FakeChat()


@pytest.fixture
def started(programs: Path, tmp_path: Path, chat: FakeChat) -> Started:
    """Start server and generator with these user lines of the plan: `async with started("ann ROOM", …)`."""

    @asynccontextmanager
    async def start(*users: str) -> AsyncIterator[Loadgen]:
        async with chat:
            plan = tmp_path / "plan"
            lines = [f"server 127.0.0.1 {chat.port}", *(f"user {user}" for user in users)]
            plan.write_text("\n".join(lines) + "\n")
            async with Loadgen(programs / "loadgen", plan) as loadgen:
                yield loadgen

    return start


USERS = (f"ann {ROOM} {OTHER_ROOM}", f"bob {ROOM}", f"cleo {ROOM} {OTHER_ROOM}")


def counts(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return some values of an answer."""
    return {name: answer[name] for name in names}


def flaws(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a run that are 0 when all went well, without those that are."""
    names = ("unsent", "unanswered", "lost", "doubled", "out_of_order", "disconnects", "stalled_closed")
    names += ("unacked_delivered", "late", "strays")
    return {name: answer[name] for name in names if answer[name]}


# --- Connecting ---


class TestConnect:
    """`connect`"""

    async def test_all_are_let_in_and_join_their_rooms(self, chat: FakeChat, started: Started) -> None:
        async with started(*USERS) as loadgen:
            answer = await loadgen("connect 0")
            assert counts(answer, "connected", "refused", "failed", "retries", "joined") == {
                "connected": 3, "refused": 0, "failed": 0, "retries": 0, "joined": 3,
            }  # fmt: skip
            assert chat.client("ann").rooms == [ROOM, OTHER_ROOM]
            assert 0 < answer["connect_ms"]["p50"] <= answer["connect_ms"]["max"]
            assert 0 < answer["join_ms"]["p50"] <= answer["join_ms"]["max"]

    async def test_rate_spreads_them(self, chat: FakeChat, started: Started) -> None:
        async with started(*(f"user{number} {ROOM}" for number in range(10))) as loadgen:
            answer = await loadgen("connect 20")
        assert answer["connected"] == 10
        times = [when for when, _ in chat.connects]
        assert times[-1] - times[0] == pytest.approx(9 / 20, abs=0.15)

    async def test_comes_back_when_the_server_says(self, chat: FakeChat, started: Started) -> None:
        def refuse_twice(client: Client) -> None:
            if len(chat.connects) > 2:
                client.send("40{}")
            else:
                client.send('44{"message":"busy","data":{"code":"busy","retryable":true,"retryAfterMs":200}}')

        chat.on_connect = refuse_twice
        async with started(f"ann {ROOM}") as loadgen:
            answer = await loadgen("connect 0")
        assert counts(answer, "connected", "refused", "retries", "joined") == {
            "connected": 1, "refused": 0, "retries": 2, "joined": 1,
        }  # fmt: skip
        first, second, third = (when for when, _ in chat.connects)
        assert min(second - first, third - second) >= 0.19
        assert answer["connect_ms"]["max"] >= 380

    async def test_gives_up_when_it_is_not_wanted(self, chat: FakeChat, started: Started) -> None:
        chat.on_connect = lambda client: client.send('44{"data":{"code":"unauthenticated"}}')
        async with started(f"ann {ROOM}") as loadgen:
            answer = await loadgen("connect 0")
        assert counts(answer, "connected", "refused", "failed") == {"connected": 0, "refused": 1, "failed": 0}

    async def test_gives_up_after_twenty_times(self, chat: FakeChat, started: Started) -> None:
        chat.on_connect = lambda client: client.send('44{"data":{"retryAfterMs":1}}')
        async with started(f"ann {ROOM}") as loadgen:
            answer = await loadgen("connect 0")
        assert counts(answer, "refused", "retries") == {"refused": 1, "retries": 20}

    async def test_cut_on_the_way(self, chat: FakeChat, started: Started) -> None:
        chat.on_connect = lambda client: client.cut() if client.token == "ann" else client.send("40{}")
        async with started(*USERS) as loadgen:
            answer = await loadgen("connect 0")
        assert counts(answer, "connected", "failed", "joined") == {"connected": 2, "failed": 1, "joined": 2}

    async def test_nobody_listens(self, programs: Path, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            plan = tmp_path / "plan"
            plan.write_text(f"server 127.0.0.1 {taken.getsockname()[1]}\nuser ann {ROOM}\n")
            async with Loadgen(programs / "loadgen", plan) as loadgen:
                assert (await loadgen("connect 0"))["failed"] == 1
                assert (await loadgen("run 10 0.2 50 0"))["sent"] == 0


# --- What arrives ---


class TestRun:
    """`run`"""

    async def test_counts_when_all_goes_well(self, chat: FakeChat, started: Started) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 50 1 100 0.5")
        assert flaws(answer) == {}
        assert counts(answer, "sent", "acked", "refused") == {"sent": 75, "acked": 75, "refused": {}}
        expected = sum(3 if message.room == ROOM else 2 for message in chat.messages)
        assert answer["expected"] == answer["delivered"] == expected
        assert answer["wall_seconds"] == pytest.approx(1.5, abs=0.2)
        assert 0 < answer["reads"] <= answer["bytes_in"]
        assert answer["cpu_seconds"] > 0
        for name in ("ack_ms", "delivery_ms", "lateness_ms"):
            values = answer[name]
            assert 0 < values["p50"] <= values["p90"] <= values["p99"] <= values["p999"] <= values["max"]

    async def test_messages_are_as_agreed(self, chat: FakeChat, started: Started) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            await loadgen("run 100 0.3 100 0")
            await loadgen("run 100 0.3 100 0")
        assert [message.number for message in chat.messages] == list(range(1, 61))
        assert {len(message.content) for message in chat.messages} == {100}
        assert len({message.client_message_id for message in chat.messages}) == 60
        assert {message.room for message in chat.messages} == {ROOM, OTHER_ROOM}
        due = [int(message.content.split(":")[2]) for message in chat.messages[:30]]
        assert {round((later - due[0]) / 1e6) for later in due} == set(range(0, 300, 10))

    async def test_goes_on_when_nothing_is_answered_and_counts_what_is_lost(
        self, chat: FakeChat, started: Started
    ) -> None:
        def lose(client: Client, message: Message) -> None:
            event = chat.event(message)
            if message.number == 3:
                return
            chat.accept(client, message)
            for member in chat.members(message.room):
                if (message.number, member.token) != (5, "bob"):
                    member.send(event)

        chat.on_message = lose
        async with started(*(user.split()[0] + f" {ROOM}" for user in USERS)) as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 50 0.4 60 0")
        assert flaws(answer) == {"unanswered": 1, "lost": 1}
        assert counts(answer, "sent", "acked", "expected", "delivered") == {
            "sent": 20, "acked": 19, "expected": 57, "delivered": 56,
        }  # fmt: skip

    async def test_doubled(self, chat: FakeChat, started: Started) -> None:
        def double(client: Client, message: Message) -> None:
            chat.pass_on(client, message)
            if message.number == 5:
                chat.client("bob").send(chat.event(message))

        chat.on_message = double
        async with started(f"ann {ROOM} silent", f"bob {ROOM}") as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 50 0.4 60 0")
        assert flaws(answer) == {"doubled": 1}
        assert counts(answer, "expected", "delivered") == {"expected": 40, "delivered": 40}

    @pytest.mark.parametrize("numbered", [True, False], ids=["by seq", "by the sender's count"])
    async def test_out_of_order(self, chat: FakeChat, started: Started, numbered: bool) -> None:
        held: list[str] = []

        def swap(client: Client, message: Message) -> None:
            chat.accept(client, message)
            event = chat.event(message, numbered=numbered)
            chat.client("ann").send(event)
            if message.number == 5:
                held.append(event)
                return
            chat.client("bob").send(event, *held)
            held.clear()

        chat.on_message = swap
        async with started(f"ann {ROOM} silent", f"bob {ROOM}") as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 50 0.4 60 0")
        assert flaws(answer) == {"out_of_order": 1}

    async def test_refused(self, chat: FakeChat, started: Started) -> None:
        def refuse(client: Client, message: Message) -> None:
            code = {2: "busy", 4: "rate_limited", 5: "rate_limited"}.get(message.number)
            if code is None:
                chat.pass_on(client, message)
            else:
                client.send(f'43{message.ack_id}[{{"ok":false,"error":{{"code":"{code}"}}}}]')

        chat.on_message = refuse
        async with started(f"ann {ROOM}", f"bob {ROOM}") as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 50 0.4 60 0")
        assert flaws(answer) == {}
        assert answer["refused"] == {"busy": 1, "rate_limited": 2}
        assert counts(answer, "sent", "acked", "expected") == {"sent": 20, "acked": 17, "expected": 34}

    async def test_disconnect(self, chat: FakeChat, started: Started) -> None:
        def cut(client: Client, message: Message) -> None:
            chat.pass_on(client, message)
            if message.number == 5:
                chat.client("bob").cut()

        chat.on_message = cut
        async with started(f"ann {ROOM}", f"bob {ROOM} silent", f"cleo {ROOM} silent") as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 50 0.4 60 0")
            assert flaws(answer) == {"disconnects": 1}
            assert counts(answer, "sent", "expected", "delivered") == {
                "sent": 20, "expected": 40, "delivered": 40,
            }  # fmt: skip
            assert await loadgen("idle 0") == {"connected": 2, "disconnects": 0, "stalled_closed": 0}

            chat.on_message = chat.pass_on
            assert (await loadgen("connect 0"))["joined"] == 1
            assert (await loadgen("run 50 0.2 60 0"))["expected"] == 30

    async def test_stragglers_of_an_earlier_run_are_told_apart(
        self, chat: FakeChat, started: Started
    ) -> None:
        async with started(f"ann {ROOM}") as loadgen:
            await loadgen("connect 0")
            await loadgen("run 50 0.2 60 0")
            first = chat.messages[0]
            foreign = Message(0, ROOM, "b:11:12345:xx", "")
            chat.client("ann").send(
                chat.event(first), chat.event(first), chat.event(foreign), '43999[{"ok":true}]'
            )
            await loadgen("idle 0.1")

            def later(client: Client, message: Message) -> None:
                chat.pass_on(client, message)
                if message.number == 15:
                    client.send(chat.event(first), chat.event(foreign), '43999[{"ok":true}]')

            chat.on_message = later
            answer = await loadgen("run 50 0.2 60 0")
        assert flaws(answer) == {"late": 1, "strays": 2}

    async def test_nobody_to_send(self, started: Started) -> None:
        async with started(f"ann {ROOM} silent", f"bob {ROOM} stalled") as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 50 0.2 60 0")
        assert counts(answer, "sent", "unsent", "expected") == {"sent": 0, "unsent": 10, "expected": 0}
        assert answer["delivery_ms"] == dict.fromkeys(("p50", "p90", "p99", "p999", "max"))

    async def test_who_is_stalled_reads_nothing(self, chat: FakeChat, started: Started) -> None:
        async with started(f"ann {ROOM}", f"bob {ROOM} stalled") as loadgen:
            await loadgen("connect 0")
            stalled = chat.client("bob")
            stalled.writer.write(frame("2"))
            stalled.writer.write(frame("x" * 20_000_000))
            answer = await loadgen("run 50 0.4 60 0")
            assert flaws(answer) == {}
            assert counts(answer, "expected", "delivered") == {"expected": 20, "delivered": 20}
            assert stalled.writer.transport.get_write_buffer_size() > 1_000_000
            assert "3" not in stalled.texts
            stalled.cut()
            assert await loadgen("idle 0.1") == {"connected": 1, "disconnects": 0, "stalled_closed": 1}

    async def test_latency_counts_from_when_it_was_due(self, chat: FakeChat, started: Started) -> None:
        chat.on_message = lambda client, message: (
            asyncio.get_running_loop().call_later(0.1, chat.pass_on, client, message) and None
        )
        async with started(f"ann {ROOM}") as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 50 0.4 60 0")
        assert flaws(answer) == {}
        assert 100 <= answer["delivery_ms"]["p50"] <= 150


# --- The history ---


class TestHistory:
    """`record` and `history`"""

    @staticmethod
    async def written(loadgen: Loadgen, path: Path) -> list[list[str]]:
        """Return the words of each line, without the time and the last line, which counts the others."""
        answer = await loadgen(f"history {path}")
        *lines, last = await asyncio.to_thread(lambda: path.read_text().splitlines())
        assert last == f"end {answer['lines']}" == f"end {len(lines)}"
        times = [int(line.split()[1]) for line in lines]
        assert times == sorted(times)
        return [[line.split()[0], *line.split()[2:]] for line in lines]

    async def test_is_what_was_sent_answered_and_heard(
        self, chat: FakeChat, started: Started, tmp_path: Path
    ) -> None:
        answers = ['{"ok":true,"seq":7,"messageId":"m-7","duplicate":false}']
        answers += ['{"ok":true,"messageId":"m-8","duplicate":true}']
        answers += ['{"ok":false,"error":{"code":"busy","retryable":true}}']
        answers += ['{"ok":false,"error":{"code":"not_a_member","retryable":false}}', ""]
        text = '{"seq":7,"messageId":"m-7","content":"\\"roomId\\":","clientMessageId":"c-7","roomId":"r"}'

        def answer(client: Client, message: Message) -> None:
            if body := answers[message.number - 1]:
                client.send(f"43{message.ack_id}[{body}]")
            if message.number == 1:
                chat.client("bob").send(f'42["new-message",{text}]', '42["new-message",{"content":"?"}]')

        chat.on_message = answer
        async with started(f"ann {ROOM}", f"bob {ROOM} silent") as loadgen:
            await loadgen("connect 0")
            assert await loadgen("record") == {"lines": 0}
            running = asyncio.create_task(loadgen("run 20 0.25 60 0"))
            await eventually(lambda: len(chat.messages) == 5)
            chat.client("ann").send('435[{"ok":true,"seq":9,"messageId":"m-9"}]')
            for name in ("ann", "bob"):  # or it would wait for deliveries
                chat.client(name).writer.close()
            await running
            lines = await self.written(loadgen, tmp_path / "a history")
        sent = [
            ["sent", "0", str(message.number), ROOM, message.client_message_id, message.content]
            for message in chat.messages
        ]
        assert [line for line in lines if line[0] == "sent"] == sent
        assert [line for line in lines if line[0] in ("acked", "refused")] == [
            ["acked", "0", "1", "7", "m-7", "new"],
            ["acked", "0", "2", "0", "m-8", "duplicate"],
            ["refused", "0", "3", "busy", "retryable"],
            ["refused", "0", "4", "not_a_member", "final"],
            ["acked", "0", "5", "9", "m-9", "new"],
        ]
        assert [line for line in lines if line[0] == "heard"] == [
            ["heard", "1", "r", "7", "m-7", "c-7"],
            ["heard", "1", "-", "0", "-", "-"],
        ]

    async def test_begins_with_record_and_goes_on_until_asked(
        self, chat: FakeChat, started: Started, tmp_path: Path
    ) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            assert list(await loadgen(f"history {tmp_path / 'early'}")) == ["error"]
            await loadgen("run 50 0.1 60 0")
            await loadgen("record")
            await loadgen("run 50 0.1 60 0")
            first = await self.written(loadgen, tmp_path / "first")
            assert [line[2] for line in first if line[0] == "sent"] == ["6", "7", "8", "9", "10"]
            chat.client("bob").send(chat.event(chat.messages[0]))  # between two commands
            await loadgen("idle 0.1")
            second = await self.written(loadgen, tmp_path / "second")
            assert second[: len(first)] == first
            assert [line[:2] for line in second[len(first) :]] == [["heard", "1"]]
            await loadgen("record")
            assert await self.written(loadgen, tmp_path / "third") == []

    async def test_file_that_cannot_be_written(self, started: Started, tmp_path: Path) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("record")
            assert list(await loadgen("history")) == ["error"]
            assert list(await loadgen(f"history {tmp_path}/nowhere/history")) == ["error"]
            await loadgen("connect 0")
            await loadgen("run 50 0.1 60 0")
            assert list(await loadgen("history /dev/full")) == ["error"]


# --- Frames ---


class TestFrames:
    """What TCP and WebSocket may do with a message"""

    @pytest.mark.parametrize("piece", [1, 2, 7, 1000])
    async def test_cut_into_pieces_by_tcp(self, chat: FakeChat, started: Started, piece: int) -> None:
        waiting = bytearray()

        def in_pieces(client: Client, message: Message) -> None:
            event = chat.event(message)
            waiting.extend(frame(f'43{message.ack_id}[{{"ok":true}}]') + frame(event) + frame("2"))

        async def write_pieces() -> None:
            while True:
                await asyncio.sleep(0)
                if waiting:
                    chat.client("ann").writer.write(bytes(waiting[:piece]))
                    del waiting[:piece]

        chat.on_message = in_pieces
        async with started(f"ann {ROOM}") as loadgen:
            await loadgen("connect 0")
            writing = asyncio.create_task(write_pieces())
            answer = await loadgen("run 20 0.5 300 0")
            pongs = chat.client("ann").texts.count("3")
            writing.cancel()
        assert flaws(answer) == {}
        assert answer["delivered"] == 10
        assert pongs >= 9

    async def test_cut_into_frames_by_websocket(self, chat: FakeChat, started: Started) -> None:
        def in_frames(client: Client, message: Message) -> None:
            chat.accept(client, message)
            event = chat.event(message).encode()
            client.writer.write(
                frame(event[:10], final=False)
                + frame(event[10:20], CONTINUATION, final=False)
                + frame(b"between", PING)
                + frame(event[20:], CONTINUATION)
            )

        chat.on_message = in_frames
        async with started(f"ann {ROOM}") as loadgen:
            await loadgen("connect 0")
            answer = await loadgen("run 20 0.5 300 0")
            assert chat.client("ann").control == [(PONG, b"between")] * 10
        assert flaws(answer) == {}
        assert answer["delivered"] == 10

    @pytest.mark.parametrize("size", [30, 125, 200, 65_400, 70_000, 300_000])
    async def test_sizes(self, chat: FakeChat, started: Started, size: int) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            answer = await loadgen(f"run 20 0.3 {size} 0")
        assert flaws(answer) == {}
        assert answer["acked"] == 6
        assert {len(message.content) for message in chat.messages} == {size}
        assert answer["bytes_in"] > size * answer["delivered"]

    async def test_history_is_not_a_delivery(self, chat: FakeChat, started: Started) -> None:
        old = '{"seq":1,"content":"b:1:1:x"}'
        chat.history = f'{{"messages":[{",".join([old] * 20_000)}]}}'
        async with started(*USERS) as loadgen:
            assert (await loadgen("connect 0"))["joined"] == 3
            assert flaws(await loadgen("run 50 0.2 60 0")) == {}

    @pytest.mark.parametrize(
        "data",
        [
            b"\x81\xff" + b"\xff" * 8,
            b"\x81\x7f" + b"\xff" * 8,
            b"\x81\x7f\x80" + bytes(7),
            b"\x81\x7f" + struct.pack("!Q", (16 << 20) + 1),
            b"\xc1\x01x",
            b"\x83\x01x",
            b"\x09\x01x",
            b"\x89\x7e\x00\x80" + b"x" * 128,
            b"\x8f\x00",
        ],
    )
    async def test_broken_frames_end_the_connection(
        self, chat: FakeChat, started: Started, data: bytes
    ) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            chat.client("bob").writer.write(frame("6") + data)
            assert await loadgen("idle 0.1") == {"connected": 2, "disconnects": 1, "stalled_closed": 0}

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "4",
            "42",
            "43",
            "43[",
            '43999999999999999999999[{"ok":true}]',
            '43"ok"',
            '42["new-message",',
            "9",
        ]
        + [
            f'42["new-message",{{"content":"b:{rest}'
            for rest in ("", "1", "1:", "x:", "1:2", "9" * 30 + ":1:")
        ]
        + ['42["new-message",{"seq":', '42["new-message",{"seq":"content"', '42["new-message",{"content"  '],
    )
    async def test_packets_that_make_no_sense_do_no_harm(
        self, chat: FakeChat, started: Started, text: str
    ) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            chat.client("bob").send(text)
            answer = await loadgen("run 50 0.1 60 0")
        assert counts(answer, "lost", "doubled", "disconnects") == {"lost": 0, "doubled": 0, "disconnects": 0}


# --- Between runs ---


class TestPings:
    """Heartbeats of Engine.IO and of WebSocket"""

    async def test_answered_during_a_command_and_between_two(self, chat: FakeChat, started: Started) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            client = chat.client("bob")
            for command in ("idle 0.2", None):
                client.send("2")
                client.writer.write(frame(b"hello", PING))
                if command:
                    await loadgen(command)
                else:
                    await asyncio.sleep(0.2)
                assert client.texts.pop() == "3"
                assert client.control.pop() == (PONG, b"hello")


class TestClose:
    """`close`, and what a server can do"""

    async def test_says_goodbye(self, chat: FakeChat, started: Started) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            clients = [chat.client(name) for name in ("ann", "bob", "cleo")]
            assert await loadgen("close") == {"closed": 3}
            assert [client.texts[-1] for client in clients] == ["41"] * 3
            assert [client.control for client in clients] == [[(CLOSE, b"\x03\xe8")]] * 3
            assert await loadgen("idle 0") == {"connected": 0, "disconnects": 0, "stalled_closed": 0}
            assert (await loadgen("connect 0"))["joined"] == 3

    @pytest.mark.parametrize(
        "goodbye", [frame("41"), frame("1"), frame(b"\x03\xe8", CLOSE), frame(b"", CLOSE)]
    )
    async def test_server_says_goodbye(self, chat: FakeChat, started: Started, goodbye: bytes) -> None:
        async with started(*USERS) as loadgen:
            await loadgen("connect 0")
            chat.client("bob").writer.write(goodbye)
            assert (await loadgen("idle 0.1"))["disconnects"] == 1


class TestInput:
    """Plan and commands"""

    @pytest.mark.parametrize(
        "command", ["", "dance", "run", "run 0 1 1", "run 1 x 1", "run 1e6 1e6 1", "idle"]
    )
    async def test_bad_command_is_answered(self, started: Started, command: str) -> None:
        async with started(*USERS) as loadgen:
            assert list(await loadgen(command)) == ["error"]

    @pytest.mark.parametrize(
        "plan",
        [
            "",
            "server",
            "server 127.0.0.1 x",
            "user",
            'user a"b',
            "user ann short",
            f"user ann {ROOM} {ROOM}",
            "x",
        ],
    )
    def test_bad_plan_is_refused(self, programs: Path, tmp_path: Path, plan: str) -> None:
        (tmp_path / "plan").write_text(plan + "\n")
        command = [str(programs / "loadgen"), str(tmp_path / "plan")]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert ended.returncode == 1
        assert str(tmp_path / "plan") in ended.stderr

    async def test_commands_may_all_come_at_once(
        self, programs: Path, tmp_path: Path, chat: FakeChat
    ) -> None:
        async with chat:
            (tmp_path / "plan").write_text(f"server 127.0.0.1 {chat.port}\nuser ann {ROOM}\n")
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                programs / "loadgen", tmp_path / "plan", stdin=pipe, stdout=pipe
            )
            out, _ = await process.communicate(b"connect 0\nrun 50 0.2 60 0\nclose\n")
        answers = [json.loads(line) for line in out.splitlines()]
        assert [next(iter(answer)) for answer in answers] == ["connected", "rate", "closed"]
        assert answers[1]["delivered"] == 10


class TestFloor:
    """`floor`"""

    def test_prints_both_figures(self, programs: Path) -> None:
        command = [str(programs / "floor"), "10", "40", "200"]
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
        answer = json.loads(ended.stdout)
        assert counts(answer, "sockets", "messages", "size") == {"sockets": 10, "messages": 40, "size": 200}
        assert answer["us_per_delivery"] > 0
        assert answer["us_per_delivery_4_per_write"] > 0


# --- The real system ---


async def room_of(api: ApiClient, users: list[User]) -> str:
    """Make a room with these members and return its id."""
    owner, *members = users
    body = {"roomName": "bench", "roomType": "public"}
    room_id: str = (await api.data("POST", "/room", owner, status=201, json=body))["id"]
    for member in members:
        await api.call("POST", f"/room/{room_id}/members", owner, status=201, json={"userId": member.id})
    return room_id


class TestRealStack:
    """Against our own system"""

    async def test_four_users_in_two_rooms(self, stack: Stack, programs: Path, tmp_path: Path) -> None:
        async with ApiClient(stack.url) as api:
            users = [await api.login(await api.register()) for _ in range(4)]
            rooms = [await room_of(api, users) for _ in range(2)]
        url = urlsplit(stack.url)
        lines = [f"server {url.hostname} {url.port}"]
        lines += [f"user {user.access_token} {' '.join(rooms)}" for user in users]
        (tmp_path / "plan").write_text("\n".join(lines) + "\n")
        async with Loadgen(programs / "loadgen", tmp_path / "plan") as loadgen:
            connected = await loadgen("connect 0")
            assert counts(connected, "connected", "joined") == {"connected": 4, "joined": 4}
            answer = await loadgen("run 20 2 200 0")
            assert flaws(answer) == {}
            assert counts(answer, "sent", "acked", "refused") == {"sent": 40, "acked": 40, "refused": {}}
            assert answer["expected"] == answer["delivered"] == 160
            assert await loadgen("close") == {"closed": 4}
