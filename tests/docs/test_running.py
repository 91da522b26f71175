"""The blocks of pages that run here, as they stand but for addresses and placeholders."""

import asyncio
import os
import re
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import pytest_asyncio
from chat_local.ports import PortBook
from chat_local.probes import http_status
from chat_local.stack import Stack, StackOptions
from chat_shared.ids import uuid7
from chat_shared.testing import eventually
from chat_shared.testing.surroundings import bare_environ, bare_folder

from .blocks import ROOT, Block, blocks

SECONDS = 100
PAGE_URL = "http://localhost:8080"
FOLLOW = re.compile(r"^(.*chat say \S+ --follow)$", re.M)
# Shows the room until what was said before appears. In a script's background Ctrl-C means nothing.
FOLLOWED = r"""coproc FOLLOWING { exec env \1; }
grep --quiet --max-count=1 "hello from a terminal" <&"${FOLLOWING[0]}"
kill "$FOLLOWING_PID"
"""


def environ(**settings: str) -> dict[str, str]:
    """Return the environment of a user who has done what docs/cli.md says about PATH."""
    return bare_environ(**{"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}", **settings})


@cache
def folder() -> Path:
    """Return where commands run: as in the checkout there is a `.venv`, but no `.env` of somebody's."""
    (bare_folder() / ".venv").symlink_to(ROOT / ".venv")
    return bare_folder()


def blocks_of_page(page: str) -> list[Block]:
    return [block for block in blocks() if block.page == page]


async def run(script: str, typed: str = "", **settings: str) -> str:
    """Run a script as one that breaks off at the first failure, and return what it printed.

    Args:
        typed: its standard input.
    """
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=folder(),
        env=environ(**settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(typed.encode()), SECONDS)
    finally:
        end(process)
    assert process.returncode == 0, f"{script}\n{output.decode()}"
    return output.decode()


def end(process: asyncio.subprocess.Process) -> None:
    """End what still runs of a process that has a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


@pytest.fixture(scope="module")
def settings(stack: Stack) -> dict[str, str]:
    """What says that the stack of the test run is meant."""
    return {
        "CHAT_URL": stack.url,
        "CHAT_AUTH_URLS": stack.process("auth-1").url,
        "CHAT_SERVICE_TOKEN": stack.secrets["chat_service_token"],
        "CHAT_AMQP_URL": stack.amqp_url,
    }


async def test_the_page_of_the_command(stack: Stack, settings: dict[str, str]) -> None:
    seed, terminal, accounts = blocks_of_page("docs/cli.md")
    assert "288 messages" in await run(seed.text, **settings)
    script = FOLLOW.sub(FOLLOWED, terminal.text.replace(PAGE_URL, stack.url))
    assert script.count("coproc") == 1
    printed = await run(script, **settings)
    assert '"roomName":"lobby"' in printed
    assert len(re.findall(r"seq \d+$", printed, re.M)) > 2
    printed = await run(accounts.text, **settings)
    for said in ("Made carol: ", "username  carol", ") has a new password", "Deleted carol ("):
        assert said in printed


async def test_the_command_in_the_readme(settings: dict[str, str]) -> None:
    [block] = [block for block in blocks_of_page("README.md") if "chat seed" in block.text]
    printed = await run(block.text, typed="correct horse 42\n", **settings)
    assert "288 messages" in printed
    assert re.search(r"^seq \d+$", printed, re.M)
    assert "username  bob" in printed


async def test_dead_letters(settings: dict[str, str]) -> None:
    [block] = [block for block in blocks_of_page("docs/operations.md") if block.first.startswith("chat dlq")]
    printed = await run(block.text.replace("0192…", uuid7()), **settings)
    assert "rooms.activity" in printed
    assert "0 dropped from the dead letters of rooms.activity" in printed


@pytest_asyncio.fixture(scope="module")
async def backing() -> AsyncIterator[Stack]:
    """Servers of their own: a service that is run alone brings keys of its own."""
    with tempfile.TemporaryDirectory(prefix="chat-docs-") as folder:
        async with Stack(StackOptions(Path(folder), services=False, environ=environ())) as running:
            yield running


@pytest.mark.parametrize("service", ["auth", "media", "rooms"])
async def test_a_service_alone(service: str, backing: Stack, tmp_path: Path) -> None:
    text = next(
        block.text
        for block in blocks_of_page(f"services/{service}/README.md")
        if block.first.startswith("CHAT_ENVIRONMENT=development")
    )
    command = text.partition("\n.venv/bin/pytest")[0]
    addresses = {
        "CHAT_MONGO_URL": backing.mongo_url,
        "CHAT_REDIS_URL": backing.redis_url,
        "CHAT_AMQP_URL": backing.amqp_url,
    }
    for name in re.findall(r"(\w+)=…", command):
        command = command.replace(f"{name}=…", f"{name}='{addresses.get(name, 'http://127.0.0.1:1')}'")
    command = re.sub(r"<32\+ random characters>", lambda _: secrets.token_urlsafe(32), command)
    assert "…" not in command
    assert "<" not in command

    port = PortBook(tmp_path / "ports.json").port(service)
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            cwd=folder(),
            env=environ(**addresses, CHAT_PORT=str(port)),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    async def is_ready() -> bool:
        assert process.returncode is None, log.read_text()
        return await http_status(f"http://127.0.0.1:{port}/readyz") == 200

    try:
        await eventually(is_ready, 40, f"{service} is ready: {log}")
    finally:
        end(process)
        await process.wait()
