"""Helpers for tests only; import-linter keeps production modules away from them."""

from chat_shared.testing.api_client import (
    PASSWORD,
    ApiClient,
    User,
    problem_body,
    response_cookies,
    success_body,
)
from chat_shared.testing.bare_socket import BareSocket
from chat_shared.testing.factories import Connect, NewRoom, NewUser
from chat_shared.testing.raw_socket import RawSocket
from chat_shared.testing.shapes import (
    MY_ROOM_FIELDS,
    OWN_USER_FIELDS,
    ROOM_FIELDS,
    USER_FIELDS,
    check_entity,
    check_history,
    check_message,
    is_timestamp,
)
from chat_shared.testing.socket_client import ConnectRefused, SocketClient
from chat_shared.testing.waiting import eventually

__all__ = [
    "MY_ROOM_FIELDS",
    "OWN_USER_FIELDS",
    "PASSWORD",
    "ROOM_FIELDS",
    "USER_FIELDS",
    "ApiClient",
    "BareSocket",
    "Connect",
    "ConnectRefused",
    "NewRoom",
    "NewUser",
    "RawSocket",
    "SocketClient",
    "User",
    "check_entity",
    "check_history",
    "check_message",
    "eventually",
    "is_timestamp",
    "problem_body",
    "response_cookies",
    "success_body",
]
