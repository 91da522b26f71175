"""The request collection works as it is committed: from a new account to a conversation, and out again."""

import json
import secrets
from pathlib import Path
from typing import Any

from .tools import CONTRACT_TOOLS, ROOT, run_tool

BRU = CONTRACT_TOOLS / "node_modules/.bin/bru"
CONVERSATION = (
    "auth/register",
    "auth/log-in",
    "auth/refresh-the-tokens",
    "auth/get-the-own-profile",
    "auth/change-the-own-profile",
    "auth/get-a-user",
    "auth/get-several-users",
    "auth/list-the-own-sessions",
    "rooms/create-a-room",
    "rooms/get-a-room",
    "rooms/list-my-rooms",
    "rooms/list-the-members",
    "rooms/list-public-rooms",
    "messaging/send-a-message",
    "messaging/list-the-messages",
    "rooms/mark-as-read",
    "media/upload-a-file",
    "media/upload-an-image",
    "media/make-a-signed-link",
    "media/download-a-file",
    "media/delete-a-file",
    "rooms/delete-a-room",
    "auth/log-out",
)
SECONDS = 100


async def test_a_conversation(chat_url: str, tmp_path: Path) -> None:
    name = f"bruno_{secrets.token_hex(4)}"
    variables = {"baseUrl": chat_url, "username": name, "email": f"{name}@example.org"}
    report = tmp_path / "report.json"
    await run_tool(
        BRU,
        "run",
        *(f"{request}.bru" for request in CONVERSATION),
        "--env",
        "local",
        *(part for pair in variables.items() for part in ("--env-var", "=".join(pair))),
        "--reporter-json",
        str(report),
        folder=ROOT / "bruno",
        timeout=SECONDS,
    )
    [run] = json.loads(report.read_text())
    assert [_outcome(result) for result in run["results"]] == [(request, "pass") for request in CONVERSATION]


def _outcome(result: dict[str, Any]) -> tuple[str, str]:
    [assertion] = result["assertionResults"]
    return result["path"].removesuffix(".bru"), assertion["status"]
