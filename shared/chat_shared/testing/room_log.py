"""The room log as REST shows it."""

from typing import Any

from chat_shared.testing.api_client import ApiClient, User


async def read_log(api: ApiClient, user: User, room_id: str) -> list[dict[str, Any]]:
    """Return all messages of a room, oldest first."""
    messages: list[dict[str, Any]] = []
    while True:
        after = messages[-1]["seq"] if messages else 0
        page = await api.data("GET", f"/room/{room_id}/messages", user, params={"after": after, "limit": 100})
        if not page["messages"]:
            return messages
        messages += page["messages"]
