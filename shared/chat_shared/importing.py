"""What the imports of all services share: the outcome of one thing, and a database that is ready for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

from chat_shared.mongo import Mongo


class Fate(Enum):
    """What became of a thing that was to be imported."""

    BROUGHT = "brought"
    HERE = "here already"
    """An earlier run brought it; what it is here counts, whatever it is elsewhere by now."""
    GONE = "deleted here since"
    """An earlier run brought it, and it was deleted here: no run brings it back."""
    REFUSED = "left out"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fate of one thing; `reason` says in a sentence why it was refused."""

    fate: Fate
    reason: str = ""


BROUGHT = Outcome(Fate.BROUGHT)
HERE = Outcome(Fate.HERE)
GONE = Outcome(Fate.GONE)


def refused(reason: str) -> Outcome:
    """Return the outcome of what cannot be imported."""
    return Outcome(Fate.REFUSED, reason)


class WrongMasterKeys(Exception):
    """The master keys do not open what is stored: with them, nothing that is imported could be read."""


@asynccontextmanager
async def opened(mongo: Mongo) -> AsyncIterator[None]:
    """Have a service's database ready, with its indexes, and close it behind the body.

    Raises:
        PyMongoError: MongoDB does not answer within its five seconds.
    """
    try:
        # Preparing waits for MongoDB for ever, as a service has to; who runs a command wants to be told.
        await mongo.database.command("ping")
        await mongo.start()
        await mongo.wait_prepared()
        yield
    finally:
        await mongo.stop()
