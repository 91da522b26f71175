"""Types made from the five documents are enough to write a client with, and it gets what they say."""

import json
import secrets
import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from .tools import CONTRACT_TOOLS, ROOT, run_tool

DOCUMENTS = sorted((ROOT / "shared/contracts/openapi").glob("*.json"))
SOURCES = ("typed_client.ts", "tsconfig.json", "package.json")
SECONDS = 90


@pytest_asyncio.fixture(scope="module")
async def compiled_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, checked against the types of the documents and compiled."""
    folder = tmp_path_factory.mktemp("typed-client")
    for name in SOURCES:
        shutil.copy(CONTRACT_TOOLS / name, folder)
    (folder / "node_modules").symlink_to(CONTRACT_TOOLS / "node_modules")
    tools = folder / "node_modules/.bin"
    for document in DOCUMENTS:
        types = ("--output", f"{document.stem}.d.ts")
        await run_tool(tools / "openapi-typescript", str(document), *types, folder=folder, timeout=SECONDS)
    await run_tool(tools / "tsc", "--project", ".", folder=folder, timeout=SECONDS)
    return folder / "out/typed_client.js"


async def test_a_typed_client_chats(chat_url: str, compiled_client: Path) -> None:
    name = f"typed_{secrets.token_hex(4)}"
    said = await run_tool(
        "node", str(compiled_client), chat_url, name, folder=compiled_client.parent, timeout=SECONDS
    )
    assert json.loads(said) == {"user": name, "seq": 1, "contents": ["hello"], "code": "media_not_found"}
