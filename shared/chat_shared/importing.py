"""What the imports of all services share: the outcome of one thing, and a database that is ready for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

from chat_shared.bus import Bus
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox

PREPARE_SECONDS = 30.0
"""Indexes of a database of years take their time; of one that an installation uses they stand already."""


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


class NeverStarted(Exception):
    """No key is stored that would tell whether the master keys are those of this installation."""


@asynccontextmanager
async def opened(mongo: Mongo, *, dry_run: bool) -> AsyncIterator[None]:
    """Have a service's database ready, with its indexes, and close it behind the body.

    With `dry_run` it is left as it is: not even an index is made.

    Raises:
        PyMongoError, TimeoutError: MongoDB does not answer, or does not make an index.
    """
    try:
        await mongo.database.command("ping")
        if not dry_run:
            # Not in the background, which tries for ever: who runs a command wants to be told.
            async with asyncio.timeout(PREPARE_SECONDS):
                await mongo.prepare()
        yield
    finally:
        await mongo.stop()


@asynccontextmanager
async def relaying(bus: Bus, outbox: Outbox, *, publishes: bool) -> AsyncIterator[None]:
    """Publish what the body adds to the outbox; unless it `publishes`, the services do so later.

    Rows of others stay: a broker that is not theirs would confirm them to nobody.
    """
    if not publishes:
        yield
        return
    await bus.start()
    await outbox.start(sweeps=False)
    try:
        yield
    finally:
        await outbox.stop()
        await bus.stop()
