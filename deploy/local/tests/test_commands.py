"""The commands where no installation is needed: what they refuse, what they read, what they print."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import careful_client
import pytest
import typer
from aiohttp import web
from chat_local.cli import app
from chat_local.client.api import Api
from chat_local.client.demo import load_demo
from chat_local.client.demo_ground import is_of_this_machine
from chat_local.client.session import of_token
from chat_local.client.talking import ConnectionBroken, Talk
from chat_local.terminal import printable
from chat_shared.testing.surroundings import bare_environ, bare_folder
from typer.testing import CliRunner

NOBODY = "http://127.0.0.1:1"


def chat(*arguments: str, typed: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a folder without a `.env`."""
    return subprocess.run(
        [sys.executable, "-m", "chat_local", *arguments],
        input=typed,
        env=bare_environ(**environ),
        cwd=bare_folder(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def explained(outcome: subprocess.CompletedProcess[str]) -> str:
    """Return why a command failed, after a look at how it says so: with 1, and in one line."""
    assert (outcome.returncode, outcome.stdout) == (1, ""), outcome
    assert len(outcome.stderr.splitlines()) == 1, outcome.stderr
    return outcome.stderr.rstrip()


@pytest.mark.parametrize(
    "command",
    [
        ("seed",),
        ("token", "alice"),
        ("say", "lobby", "hi", "--as", "alice"),
        ("say", "lobby", "--as", "alice"),
    ],
)
def test_where_nothing_runs(command: tuple[str, ...]) -> None:
    why = explained(chat(*command, f"--url={NOBODY}", typed="a password\n"))
    assert why.startswith(f"Nothing answers at {NOBODY}.")


def test_where_auth_does_not_run(tmp_path: Path) -> None:
    command = ("user", "show", "alice", f"--state-dir={tmp_path}")
    assert "CHAT_AUTH_URLS" in explained(chat(*command))
    assert "CHAT_AUTH_URLS" in explained(chat(*command, CHAT_SERVICE_TOKEN="t"))
    assert "CHAT_SERVICE_TOKEN" in explained(chat(*command, CHAT_AUTH_URLS=NOBODY))
    given = {"CHAT_SERVICE_TOKEN": "t", "CHAT_AUTH_URLS": NOBODY}
    assert explained(chat(*command, **given)).startswith(f"Nothing answers at {NOBODY}.")


def test_where_no_broker_runs(tmp_path: Path) -> None:
    assert "CHAT_AMQP_URL" in explained(chat("dlq", "count", f"--state-dir={tmp_path}"))


@asynccontextmanager
async def answering(body: str, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Answer everything with one body, and give the port."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=body)

    other = web.Application()
    other.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(other)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "body",
    ["<html>hello</html>", "", "[]", '{"hello": 1}', '{"data": []}', '{"data": {"environment": "of hello"}}'],
)
async def test_something_else_runs_there(body: str) -> None:
    async with answering(body) as port:
        url = f"http://127.0.0.1:{port}"
        seed = await asyncio.to_thread(chat, "seed", f"--url={url}")
        given = {"CHAT_SERVICE_TOKEN": "t", "CHAT_AUTH_URLS": url}
        show = await asyncio.to_thread(chat, "user", "show", "alice", **given)
    for outcome in (seed, show):
        assert explained(outcome).startswith(f"What answers at {url} is not this chat")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("seed", "--url=ftp://localhost"), "is not a URL"),
        (("seed", "--url=localhost:8080"), "is not a URL"),
        (("seed", "--url=http://[::1"), "is not a URL"),
        (("seed", "--url=http://localhost:99999"), "is not a URL"),
        (("say", "lobby", "hi"), "--as NAME"),
        (("say", "lobby", "hi", "--follow", "--as=a"), "leave TEXT out"),
        (("say", "lobby", "--id=x", "--as=a"), "--id needs TEXT"),
        (("say", "lobby", "hi", "--as=a", "--timeout=0"), "--timeout"),
        (("user", "create", "carol"), "--email"),
        (("user", "list", "--limit=101"), "--limit"),
        (("token",), "name"),
        (("no-such-command",), "no-such-command"),
    ],
)
def test_wrong_usage(command: tuple[str, ...], why: str) -> None:
    outcome = CliRunner().invoke(app, command, env={"CHAT_TOKEN": None})
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert why in outcome.stderr


@pytest.mark.parametrize("option", ["--password", "--token"])
@pytest.mark.parametrize("command", [("token", "a"), ("say", "r", "t"), ("user", "create", "a", "--email=e")])
def test_secrets_are_no_arguments(command: tuple[str, ...], option: str) -> None:
    outcome = CliRunner().invoke(app, [*command, f"{option}=secret"])
    assert f"No such option: {option}" in outcome.stderr


@pytest.mark.parametrize("command", [("token", "alice"), ("say", "lobby", "hi", "--as", "alice")])
def test_without_a_password(command: tuple[str, ...]) -> None:
    assert "A password is needed" in explained(chat(*command, f"--url={NOBODY}"))


def test_no_demo_from_a_production_shell() -> None:
    why = explained(chat("seed", f"--url={NOBODY}", CHAT_ENVIRONMENT="production"))
    assert why == "No demo data there: CHAT_ENVIRONMENT is production."


def test_no_demo_elsewhere() -> None:
    why = explained(chat("seed", "--url=https://chat.example.org"))
    assert why == "No demo data there: https://chat.example.org is not on this machine."


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - what is refused
async def test_no_demo_where_others_can_log_in(host: str) -> None:
    """As with `make run BIND=0.0.0.0`: a development installation that is not for this machine alone."""
    async with answering('{"data": {"environment": "development"}}', host) as port:
        url = f"http://localhost:{port}"
        seed = await asyncio.to_thread(chat, "seed", f"--url={url}")
    why = f"No demo data there: other machines reach {url}: it listens on {host}, too."
    assert explained(seed) == why


@pytest.mark.parametrize(
    ("url", "is_it"),
    [
        ("http://localhost:8080", True),
        ("http://chat.localhost", True),
        ("http://127.0.0.1:1", True),
        ("http://127.8.8.8", True),
        ("http://[::1]:8080", True),
        ("http://192.168.1.5:8080", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost@example.org", False),
        ("http://0.0.0.0:8080", False),
    ],
)
def test_what_is_of_this_machine(url: str, is_it: bool) -> None:
    assert is_of_this_machine(url) is is_it


def test_the_demo_is_plausible() -> None:
    demo = load_demo()
    assert [user.username for user in demo.users.values()] == ["alice", "bob"]
    assert {room.type for room in demo.rooms} == {"public", "private"}
    assert len({room.name for room in demo.rooms}) == len(demo.rooms)
    texts = [text for room in demo.rooms for _, text in room.messages]
    assert len(texts) > 250
    assert all(text and text == text.strip() and len(text) < 120 for text in texts)
    for room in demo.rooms:
        assert {sender for sender, _ in room.messages} == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with ümläuts and 🙂", "plain, with ümläuts and 🙂"),
        ("\x1b[2Jgone", "?[2Jgone"),
        ("a\rb\x07\x9b", "a?b??"),
        ("right\u202eleft", "right?left"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_nothing_steers_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


async def test_a_connection_that_cannot_go_on_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(_client: object) -> None:
        raise TypeError("no such answer")

    monkeypatch.setattr(careful_client.CarefulClient, "run", break_down)
    talk = Talk(of_token(Api(NOBODY), "t"), "0" * 24)
    async with talk.connected():
        with pytest.raises(ConnectionBroken, match="TypeError: no such answer"):
            await talk.unless_turned_away(asyncio.Event().wait())


def test_every_command_has_an_example() -> None:
    def commands(group: object, path: str) -> list[tuple[str, str]]:
        inner = getattr(group, "commands", None)
        if inner is None:
            return [(path, getattr(group, "help", "") or "")]
        return [found for name, each in inner.items() for found in commands(each, f"{path} {name}")]

    found = commands(typer.main.get_command(app), "chat")
    assert {"chat seed", "chat user delete", "chat dlq drop"} <= {path for path, _ in found}
    assert [path for path, text in found if "Example:" not in text or path not in text] == []
