"""What a failed ordered insert means for the batch."""

from typing import Any

import pytest
from chat_messaging.outcomes import Cause, InsertFailure, interpret

PLACE = {"roomId": 1, "seq": 1}
KEY = {"roomId": 1, "senderId": 1, "clientMessageId": 1}


def write_error(index: int, pattern: dict[str, int], code: int = 11000) -> dict[str, Any]:
    return {"index": index, "code": code, "keyPattern": pattern}


CASES: dict[str, tuple[dict[str, Any], InsertFailure]] = {
    "another writer took the seq": (
        {"writeErrors": [write_error(0, PLACE)], "nInserted": 0},
        InsertFailure(Cause.SEQ_TAKEN, 0),
    ),
    "a repeat in the middle": (
        {"writeErrors": [write_error(3, KEY)], "nInserted": 3},
        InsertFailure(Cause.KEY_TAKEN, 3),
    ),
    "a repeat whose predecessors have no majority": (
        {"writeErrors": [write_error(3, KEY)], "writeConcernErrors": [{"code": 64}]},
        InsertFailure(Cause.UNKNOWN),
    ),
    "stored without a majority": (
        {"writeErrors": [], "writeConcernErrors": [{"code": 91}]},
        InsertFailure(Cause.UNKNOWN),
    ),
    "another write error": ({"writeErrors": [write_error(0, {}, code=50)]}, InsertFailure(Cause.UNKNOWN)),
    "a duplicate of an index we do not know": (
        {"writeErrors": [write_error(0, {"_id": 1})]},
        InsertFailure(Cause.UNKNOWN),
    ),
    "no details": ({}, InsertFailure(Cause.UNKNOWN)),
}


@pytest.mark.parametrize(("details", "meaning"), CASES.values(), ids=CASES.keys())
def test_interpret(details: dict[str, Any], meaning: InsertFailure) -> None:
    assert interpret(details) == meaning
