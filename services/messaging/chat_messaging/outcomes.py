"""What a failed insert means for each entry of the batch. Pure; the cases are in the tests.

An ordered insert stops at its first failure: what came before it was applied. PyMongo reports the write
error rather than a write-concern error of the same command, so the latter has to be looked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

DUPLICATE_KEY = 11000


class Cause(Enum):
    """Why an ordered insert stopped."""

    SEQ_TAKEN = "another writer has this seq"
    KEY_TAKEN = "this client message is in the log already"
    NOT_TRIED = "its time was over before its turn came"
    UNKNOWN = "nobody can tell what was applied for good"


@dataclass(frozen=True, slots=True)
class InsertFailure:
    """Where an ordered insert stopped, and why. Entries before `index` are committed unless UNKNOWN."""

    cause: Cause
    index: int = 0


def interpret(details: Mapping[str, Any]) -> InsertFailure:
    """Return what the details of a `BulkWriteError` mean."""
    if details.get("writeConcernErrors"):
        return InsertFailure(Cause.UNKNOWN)
    errors = details.get("writeErrors") or []
    if not errors or errors[0].get("code") != DUPLICATE_KEY:
        return InsertFailure(Cause.UNKNOWN)
    pattern = errors[0].get("keyPattern") or {}
    index = int(errors[0]["index"])
    if "seq" in pattern:
        return InsertFailure(Cause.SEQ_TAKEN, index)
    if "clientMessageId" in pattern:
        return InsertFailure(Cause.KEY_TAKEN, index)
    return InsertFailure(Cause.UNKNOWN)
