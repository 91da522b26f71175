"""Requests made up from the documents, valid and not, alone and in chains, get the answers that they say.

`make fuzz EXAMPLES=1000` asks more, `SEED=` other things.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from chat_shared.testing import ApiClient, NewRoom, NewUser, User
from chat_shared.testing.documents import openapi_documents

from .tools import run_tool

HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("CHAT_FUZZ_EXAMPLES") or 30)
SEED = os.environ.get("CHAT_FUZZ_SEED") or "7"
#: What the run takes beside its examples, and for each of them, on a slow machine.
SECONDS = 300 + 20 * EXAMPLES
ROOMS = 4
SHORT_LIVED = 12
PICTURE = HERE.parents[1] / "bruno/picture.png"


@pytest.mark.timeout(SECONDS)
async def test_nothing_is_answered_that_is_not_documented(
    chat_url: str, api: ApiClient, new_user: NewUser, new_room: NewRoom, tmp_path: Path
) -> None:
    owner = await new_user()
    _write_document(tmp_path / "chat.json")
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        (HERE / "schemathesis.toml").read_text() + _dictionaries(await _seed(api, owner, new_user, new_room))
    )
    said = await run_tool(
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", str(config), "run", "chat.json", "--url", chat_url, "--checks", "all"),
        *("--max-examples", str(EXAMPLES), "--seed", SEED, "--workers", "1", "--continue-on-failure"),
        folder=tmp_path,
        timeout=SECONDS,
        environ={
            "CHAT_FUZZ_URL": chat_url,
            "CHAT_FUZZ_USERNAME": owner.username,
            "CHAT_FUZZ_PASSWORD": owner.password,
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": str(HERE),
        },
    )
    sys.stdout.write(said)
    count = len(list(_operation_ids()))
    assert f"Tested: {count}" in said


def _operation_ids() -> list[str]:
    return [
        operation["operationId"]
        for document in openapi_documents().values()
        for methods in document["paths"].values()
        for operation in methods.values()
    ]


def _write_document(path: Path) -> None:
    """Write all documents as one, so that a chain of requests goes through all services."""
    whole: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Chat", "version": "1"},
        "paths": {},
        "components": {"schemas": {}, "securitySchemes": {}},
    }
    for document in openapi_documents().values():
        whole["paths"] |= document["paths"]
        for kind, named in whole["components"].items():
            for name, schema in document["components"].get(kind, {}).items():
                assert named.setdefault(name, schema) == schema, f"two documents differ about {name}"
    path.write_text(json.dumps(whole))


async def _seed(
    api: ApiClient, owner: User, new_user: NewUser, new_room: NewRoom
) -> dict[str, Sequence[str]]:
    """Make what the requests are about, and return the ids by the name of their dictionary."""
    others = [await new_user() for _ in range(3)]
    rooms = [await new_room(owner, *others) for _ in range(ROOMS)]
    for room in rooms:
        await api.call("POST", f"/room/{room['id']}/messages", owner, status=201, json={"content": "hello"})
    return {
        "users": [owner.id, *(user.id for user in others)],
        "rooms": [room["id"] for room in rooms],
        "rooms_of_others": [(await new_room(others[0]))["id"] for _ in range(ROOMS)],
        "short_lived_rooms": [(await new_room(owner))["id"] for _ in range(SHORT_LIVED)],
        "media": [await _upload(api, owner) for _ in range(2)],
        "short_lived_media": [await _upload(api, owner) for _ in range(SHORT_LIVED)],
    }


async def _upload(api: ApiClient, owner: User) -> str:
    files = {"image": ("picture.png", PICTURE.read_bytes(), "image/png")}
    stored = await api.data("POST", "/upload/image", owner, status=201, files=files)
    media_id: str = stored["mediaId"]
    return media_id


def _dictionaries(values: Mapping[str, Sequence[str]]) -> str:
    return "".join(
        f"\n[dictionaries.{name}]\nvalues = {json.dumps(list(ids))}\n" for name, ids in values.items()
    )
