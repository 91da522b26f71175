"""The README's first chat, typed as it stands."""

import asyncio
import re
import secrets
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JS = Path(__file__).parent / "js"
README_URL = "http://localhost:8080"


def block(name: str) -> str:
    """Return the code block of the README that carries this mark."""
    found = re.search(
        rf"<!-- first-chat: {name} -->\n```\w+\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    assert found is not None, f"the README has no block {name}"
    return found.group(1)


@pytest.fixture
def names() -> dict[str, str]:
    """The accounts of this run: the README's own may exist already where the tests run twice."""
    run = secrets.token_hex(4)
    return {"alice": f"alice_{run}", "bob": f"bob_{run}"}


def adapted(text: str, url: str, names: dict[str, str]) -> str:
    """Return a block with this run's URL and accounts, and nothing else changed."""
    for name, own in names.items():
        text = re.sub(rf"\b{name}\b", own, text)
    return text.replace(README_URL, url)


async def run_shell(script: str, **variables: str) -> str:
    """Run shell commands and return what they print."""
    assignments = "".join(f"{name}='{value}'\n" for name, value in variables.items())
    process = await asyncio.create_subprocess_exec(
        "bash", "-euc", assignments + script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()


async def read_until(stream: asyncio.StreamReader, *texts: str) -> None:
    """Read what a program prints until all of `texts` have appeared, in whatever order."""
    seen = ""
    async with asyncio.timeout(20):
        while not all(text in seen for text in texts):
            line = await stream.readline()
            assert line, f"it ended after: {seen}"
            seen += line.decode()


async def test_the_first_chat(chat_url: str, names: dict[str, str]) -> None:
    printed = 'printf "\\n%s %s %s\\n" $ALICE $BOB $ROOM'
    shell = adapted(block("shell"), chat_url, names)
    alice, bob, room = (await run_shell(shell + printed)).split()[-3:]

    program = JS / f".readme-{secrets.token_hex(4)}.mjs"
    program.write_text(adapted(block("javascript"), chat_url, names))
    process = await asyncio.create_subprocess_exec(
        "node",
        str(program),
        bob,
        room,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=JS,
    )
    assert process.stdout is not None
    try:
        await read_until(process.stdout, "sent {", "seq: 1,", "1 hello from Bob")
        variables = {
            "URL": f"{chat_url}/api/v1",
            "json": "content-type: application/json",
            "ALICE": alice,
            "ROOM": room,
        }
        await run_shell(block("answer"), **variables)
        await read_until(process.stdout, "2 hello from Alice")
    finally:
        process.kill()
        await process.wait()
        program.unlink()


def test_every_link_leads_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("services/*/README.md")]:
        for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
