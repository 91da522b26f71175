"""One run of the import: whose settings it takes, what it opens, and how it ends."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import chat_auth.audit
import chat_auth.settings
import chat_messaging.settings
import chat_rooms.settings
from bson.errors import BSONError
from chat_auth.importing import open_accounts
from chat_messaging.importing import open_messages
from chat_rooms.importing import open_rooms
from chat_shared.errors import ChatError, Unavailable
from chat_shared.importing import NeverStarted, WrongMasterKeys
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
ABANDONED_SECONDS = 90.0
"""How long MongoDB may hold us up: longer than it keeps what a killed process has left open."""
PAUSE_SECONDS = 2


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
    publishes: bool
    """Whether the broker of the settings is known to be that of the installation."""


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
    except NeverStarted:
        raise WrongUse(
            "CHAT_MASTER_KEYS",
            "nothing is stored that would tell whether they are right: start the services once",
        ) from None
    except BSONError as error:
        print(f"It stopped: the original has a document that cannot be read: {error}"[:300], file=sys.stderr)
        return False
    except (PyMongoError, ChatError, TimeoutError) as error:
        print(f"It stopped: {str(error)[:300] or 'MongoDB took too long'}", file=sys.stderr)
        print("Run it again when the databases answer: it goes on where it was.", file=sys.stderr)
        return False


async def _bring(source: str, installation: _Installation, *, dry_run: bool) -> bool:
    async with OldDatabase(source) as old:
        say(f"From {old.name} at {old.where}{' (dry run: nothing is written)' if dry_run else ''}")
        async with (
            open_accounts(installation.auth, dry_run=dry_run, publishes=installation.publishes) as accounts,
            open_rooms(installation.rooms, dry_run=dry_run, publishes=installation.publishes) as rooms,
            open_messages(installation.messaging, dry_run=dry_run) as messages,
        ):
            report = await _patiently(lambda report: Migration(old, accounts, rooms, messages, report).run())
    report.tell_sums()
    say("Complete" if report.is_complete else "Not complete: what was left out is named above")
    return report.is_complete


async def _patiently(migrate: Callable[[Report], Awaitable[None]]) -> Report:
    """Migrate, and begin anew while MongoDB holds us up; return the report of the attempt that worked.

    A run that was killed within a transaction leaves it open, and with it a room that nobody can write to,
    until MongoDB ends it after a minute (`transactionLifetimeLimitSeconds`).
    """
    deadline = time.monotonic() + ABANDONED_SECONDS
    while True:
        report = Report(say)
        try:
            await migrate(report)
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            say(f"{error.message}: going on in {PAUSE_SECONDS} s where it was")
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return report


def _installation(state_dir: Path) -> _Installation:
    """Return the settings that the services of this installation have.

    Addresses and secrets of a local stack come from its state folder, unless the environment has others.
    """
    environ = environment()
    settings = {**_of_local_stack(state_dir, environ), **environ}
    os.environ.update(settings)
    _log_errors_and_audit()
    try:
        return _Installation(
            chat_auth.settings.Settings(),
            chat_rooms.settings.Settings(),
            chat_messaging.settings.Settings(),
            publishes=_names(settings, _AMQP_SETTINGS),
        )
    except ValidationError as error:
        wrong = ", ".join(sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]}))
        raise WrongUse(
            wrong or "settings",
            f"there is no installation in {state_dir}, or this setting is wrong. Where the services run "
            "elsewhere, set CHAT_MONGO_URL, CHAT_AMQP_URL and CHAT_SECRETS_DIR as they have them",
        ) from None


def _of_local_stack(state_dir: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings in which the services of a local stack differ from the defaults.

    Where the environment names a MongoDB, the broker and the secrets of this stack are none of its business:
    events of one installation must not be told to another, nor anything be sealed with another's keys.
    """
    # How strong the secrets are is the services' to judge.
    settings = {"CHAT_ENVIRONMENT": "development"}
    folder = StateFolder(state_dir)
    ports = folder.run / "ports.json"
    mongo_port = PortBook.remembered(ports, mongod.NAME)
    if mongo_port is None or _names(environ, _MONGO_SETTINGS):
        return settings
    settings |= {"CHAT_MONGO_URL": mongod.url(mongo_port), "CHAT_SECRETS_DIR": str(folder.secrets)}
    amqp_port = PortBook.remembered(ports, rabbitmq.NAME)
    if amqp_port is not None and not _names(environ, _AMQP_SETTINGS):
        settings["CHAT_AMQP_URL"] = rabbitmq.url(amqp_port)
    return settings


def _names(environ: Mapping[str, str], settings: Sequence[str]) -> bool:
    return any(environ.get(name) for name in settings)


def _log_errors_and_audit() -> None:
    """Keep the logs of three services out of what the command says, all but the audit."""
    configure_logging("import", "import", "info")
    logging.getLogger().setLevel(logging.ERROR)
    logging.getLogger(chat_auth.audit.__name__).setLevel(logging.INFO)
