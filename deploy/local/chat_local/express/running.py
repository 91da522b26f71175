"""One run of the import: whose settings it takes, what it opens, and how it ends."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import chat_auth.settings
import chat_messaging.settings
import chat_rooms.settings
from chat_auth.importing import open_accounts
from chat_messaging.importing import open_messages
from chat_rooms.importing import open_rooms
from chat_shared.errors import ChatError
from chat_shared.importing import WrongMasterKeys
from chat_shared.logging import configure_logging
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from chat_local.console import say
from chat_local.environment import environment
from chat_local.express.migration import Migration
from chat_local.express.report import Report
from chat_local.express.source import NotTheOriginal, OldDatabase
from chat_local.ports import PortBook
from chat_local.programs import mongod, rabbitmq
from chat_local.state import StateFolder

_MONGO_SETTINGS = ("CHAT_MONGO_URL", "MONGO_URI", "MONGODB_URI")
_AMQP_SETTINGS = ("CHAT_AMQP_URL", "RABBITMQ_URL", "AMQP_URL")


class WrongUse(Exception):
    """The command cannot begin; `where` is the option or setting that is wrong."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(what)
        self.where = where


@dataclass(frozen=True)
class _Installation:
    """The settings of those services that take something in."""

    auth: chat_auth.settings.Settings
    rooms: chat_rooms.settings.Settings
    messaging: chat_messaging.settings.Settings


def run(source: str, state_dir: Path, *, dry_run: bool) -> bool:
    """Import, and say what became of everything; return whether nothing was left out.

    Raises:
        WrongUse: nothing was begun.
    """
    installation = _installation(state_dir)
    try:
        return asyncio.run(_bring(source, installation, dry_run=dry_run))
    except NotTheOriginal as error:
        raise WrongUse("--from", str(error)) from None
    except WrongMasterKeys:
        raise WrongUse(
            "CHAT_MASTER_KEYS",
            "they do not open what this installation has stored; take those of its services",
        ) from None
    except (PyMongoError, ChatError, TimeoutError) as error:
        print(f"It stopped: {str(error)[:300]}", file=sys.stderr)
        print("Run it again when the databases answer: it goes on where it was.", file=sys.stderr)
        return False


async def _bring(source: str, installation: _Installation, *, dry_run: bool) -> bool:
    report = Report(say)
    async with OldDatabase(source) as old:
        say(f"From {old.name} at {old.where}{' (dry run: nothing is written)' if dry_run else ''}")
        async with (
            open_accounts(installation.auth, dry_run=dry_run) as accounts,
            open_rooms(installation.rooms, dry_run=dry_run) as rooms,
            open_messages(installation.messaging, dry_run=dry_run) as messages,
        ):
            await Migration(old, accounts, rooms, messages, report).run()
    report.tell_sums()
    say("Complete" if report.is_complete else "Not complete: what was left out is named above")
    return report.is_complete


def _installation(state_dir: Path) -> _Installation:
    """Return the settings that the services of this installation have.

    Addresses and secrets of a local stack come from its state folder, unless the environment has others.
    """
    environ = environment()
    os.environ.update({**_of_local_stack(state_dir, environ), **environ})
    configure_logging("import", "import", "error")
    try:
        return _Installation(
            chat_auth.settings.Settings(), chat_rooms.settings.Settings(), chat_messaging.settings.Settings()
        )
    except ValidationError as error:
        wrong = ", ".join(sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]}))
        raise WrongUse(
            wrong or "settings",
            f"there is no installation in {state_dir}, or this setting is wrong. Where the services run "
            "elsewhere, set CHAT_MONGO_URL, CHAT_AMQP_URL and CHAT_SECRETS_DIR as they have them",
        ) from None


def _of_local_stack(state_dir: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in which the services of a local stack differ from the defaults."""
    settings = {"CHAT_ENVIRONMENT": "development"}
    folder = StateFolder(state_dir)
    if folder.secrets.is_dir():
        settings["CHAT_SECRETS_DIR"] = str(folder.secrets)
    ports = folder.run / "ports.json"
    for names, program, url in (
        (_MONGO_SETTINGS, mongod.NAME, mongod.url),
        (_AMQP_SETTINGS, rabbitmq.NAME, rabbitmq.url),
    ):
        port = PortBook.remembered(ports, program)
        if port is not None and not any(environ.get(name) for name in names):
            settings[names[0]] = url(port)
    return settings
