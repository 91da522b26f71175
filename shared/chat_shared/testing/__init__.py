"""Helpers for tests only; import-linter keeps production modules away from them."""

from chat_shared.testing.api_client import ApiClient, User
from chat_shared.testing.socket_client import ConnectRefused, SocketClient
from chat_shared.testing.waiting import eventually

__all__ = ["ApiClient", "ConnectRefused", "SocketClient", "User", "eventually"]
