"""A history that was written past messaging is one that messaging reads and goes on with."""

import asyncio
import sys

from chat_local.stack import Stack
from chat_shared.testing import ApiClient

COUNT = 120


async def test_a_stored_history_is_read_and_continued(stack: Stack) -> None:
    async with ApiClient(stack.url) as api:
        user = await api.login(await api.register())
        room = await api.data("POST", "/room", user, status=201, json={"roomName": "old"})
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_bench.fill_log", room["id"], str(COUNT), user.id),
            *("--mongo-url", stack.mongo_url, "--redis-url", stack.redis_url),
            *("--master-keys", str(stack.options.state_dir / "secrets" / "chat_master_keys")),
        )
        assert await writer.wait() == 0
        messages = f"/room/{room['id']}/messages"
        newest = await api.data("GET", messages, user)
        oldest = await api.data("GET", messages, user, params={"before": "51"})
        sent = await api.data("POST", messages, user, status=201, json={"content": "at last"})
    assert newest["head"] == COUNT
    assert [message["seq"] for message in newest["messages"]] == list(range(71, 121))
    assert [message["content"].rstrip(".") for message in oldest["messages"]] == [
        f"message {seq} " for seq in range(1, 51)
    ]
    assert sent["seq"] == COUNT + 1
