"""Holds every socket event and acknowledgement that a test sees against the AsyncAPI document.

They arrive in callbacks, where raising would only be logged: what is wrong is noted, and the test that was
running fails with it at its end.
"""

from functools import cache
from typing import Any

import jsonschema_rs
import orjson

from chat_shared.testing.documents import asyncapi_document, strict_validator

EVENT, ACK, CONNECT_REFUSED = "42[", "43", "44{"
#: More would say nothing new.
MAX_NOTED = 20

_violations: list[str] = []


def take_violations() -> list[str]:
    """Return what was wrong since this was last asked."""
    found = _violations.copy()
    _violations.clear()
    return found


def check_event(name: str, payload: Any) -> None:
    """Note what is wrong with an event of the server."""
    _check(f"server_{name.replace('-', '_')}", f"the event {name}", payload)


def check_acknowledgement(event: str | None, answer: Any) -> None:
    """Note what is wrong with the answer to an event of a client; None where it is not known which it was."""
    name = (event or "").replace("-", "_")
    failed = isinstance(answer, dict) and answer.get("ok") is False
    key = f"{'refusal' if failed else 'ack'}_{name}"
    if key in asyncapi_document()["components"]["messages"]:
        _check(key, f"the acknowledgement of {event}", answer)
    elif failed:
        # An unknown event is refused with a code of the `error` event.
        _check("server_error", f"the refusal of {event}", _as_error_event(answer))
    elif event is not None:
        _note(f"{event} is not documented, and was acknowledged with {answer!r}")


def check_frame(frame: str, event_of: dict[int, str] | None = None) -> None:
    """Note what is wrong with a Socket.IO packet of the server.

    Args:
        event_of: the client's events by the number under which they are acknowledged.
    """
    if frame.startswith(EVENT):
        name, *payload = orjson.loads(frame[len(EVENT) - 1 :])
        check_event(name, *payload)
    elif frame.startswith(ACK):
        number, _, rest = frame[len(ACK) :].partition("[")
        [answer] = orjson.loads(f"[{rest}")
        check_acknowledgement((event_of or {}).get(int(number)), answer)
    elif frame.startswith(CONNECT_REFUSED):
        check_event("connect_error", orjson.loads(frame[len(CONNECT_REFUSED) - 1 :]))


def _as_error_event(answer: dict[str, Any]) -> Any:
    error = answer.get("error")
    return (
        {name: value for name, value in error.items() if name != "retryable"}
        if isinstance(error, dict)
        else None
    )


def _check(key: str, what: str, value: Any) -> None:
    validator = _validator(key)
    if validator is None:
        _note(f"{what} is not documented; it carried {value!r}")
    elif not validator.is_valid(value):
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            _note(f"{what} is not as documented: {error}")


def _note(text: str) -> None:
    if len(_violations) < MAX_NOTED:
        _violations.append(text)


@cache
def _validator(key: str) -> jsonschema_rs.Draft202012Validator | None:
    document = asyncapi_document()
    message = document["components"]["messages"].get(key)
    return None if message is None else strict_validator(message["payload"], document)
