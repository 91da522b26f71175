"""Types of the fixtures that make users, rooms and sockets."""

from collections.abc import Awaitable, Callable
from typing import Any

from chat_shared.testing.api_client import User
from chat_shared.testing.socket_client import SocketClient

#: `await new_user(username="", **profile)`
NewUser = Callable[..., Awaitable[User]]
#: `await new_room(owner, *members, **fields)`
NewRoom = Callable[..., Awaitable[dict[str, Any]]]
#: `await connect(user, gateway=None, transports=…)`
Connect = Callable[..., Awaitable[SocketClient]]
