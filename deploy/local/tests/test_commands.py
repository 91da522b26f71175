"""The commands where no installation is needed: what they refuse, what they read, what they print."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from aiohttp import web
from chat_local.cli import app
from chat_local.client.demo import load_demo
from chat_local.client.demo_ground import is_of_this_machine
from chat_local.client.errors import CommandFailed
from chat_local.client.lines import lines_of
from chat_local.client.where import DEFAULT_URL, auth_api, installation_url
from chat_local.state import StateFolder
from chat_local.terminal import printable
from typer.testing import CliRunner

NOBODY = "http://127.0.0.1:1"


def chat(*arguments: str, typed: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
    return subprocess.run(
        [sys.executable, "-m", "chat_local", *arguments],
        input=typed,
        env={**own, **environ},
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
    assert "CHAT_SERVICE_TOKEN" in explained(chat(*command))
    assert "CHAT_AUTH_URLS" in explained(chat(*command, CHAT_SERVICE_TOKEN="t"))
    given = {"CHAT_SERVICE_TOKEN": "t", "CHAT_AUTH_URLS": NOBODY}
    assert explained(chat(*command, **given)).startswith(f"Nothing answers at {NOBODY}.")


@pytest.mark.parametrize("body", ["<html>hello</html>", "", "[]", '{"hello": 1}'])
async def test_something_else_runs_there(body: str) -> None:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text=body)

    other = web.Application()
    other.router.add_route("*", "/{path:.*}", hello)
    runner = web.AppRunner(other)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        seed = await asyncio.to_thread(chat, "seed", f"--url={url}")
        given = {"CHAT_SERVICE_TOKEN": "t", "CHAT_AUTH_URLS": url}
        show = await asyncio.to_thread(chat, "user", "show", "alice", **given)
    finally:
        await runner.cleanup()
    for outcome in (seed, show):
        assert explained(outcome).startswith(f"What answers at {url} is not this chat")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("seed", "--url=ftp://localhost"), "is not a URL"),
        (("seed", "--url=localhost:8080"), "is not a URL"),
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


@pytest.mark.parametrize(
    ("typed", "lines"),
    [(b"", []), (b"one\n\n two\r\nthree", ["one", " two", "three"]), (b"x\n" * 500, ["x"] * 500)],
)
async def test_lines(typed: bytes, lines: list[str]) -> None:
    read, write = os.pipe()
    os.write(write, typed)
    os.close(write)
    try:
        assert [line async for line in lines_of(read)] == lines
    finally:
        os.close(read)


def test_the_stack_that_runs_is_meant(tmp_path: Path) -> None:
    assert installation_url("", tmp_path) == DEFAULT_URL
    state = StateFolder(tmp_path)
    state.run.mkdir()
    state.url_file.write_text("http://localhost:9000")
    assert installation_url("", tmp_path) == "http://localhost:9000"
    assert installation_url("http://localhost:1", tmp_path) == "http://localhost:1"
    state.forget_last_run()
    assert installation_url("", tmp_path) == DEFAULT_URL


def test_settings_win_over_the_local_stack(tmp_path: Path) -> None:
    environ = {"CHAT_AUTH_URLS": "dns+http://auth:8101,http://other", "CHAT_SERVICE_TOKEN": "t"}
    assert auth_api(environ, tmp_path).url == "http://auth:8101"
    with pytest.raises(CommandFailed, match="service token"):
        auth_api({"CHAT_SECRETS_DIR": str(tmp_path)}, tmp_path)


def test_every_command_has_an_example() -> None:
    def commands(group: object, path: str) -> list[tuple[str, str]]:
        inner = getattr(group, "commands", None)
        if inner is None:
            return [(path, getattr(group, "help", "") or "")]
        return [found for name, each in inner.items() for found in commands(each, f"{path} {name}")]

    found = commands(typer.main.get_command(app), "chat")
    assert {"chat seed", "chat user delete", "chat dlq drop"} <= {path for path, _ in found}
    assert [path for path, text in found if "Example:" not in text or path not in text] == []
