"""Sending over REST is limited per user."""

import secrets
from typing import TYPE_CHECKING

from chat_shared.testing import ApiClient

if TYPE_CHECKING:
    from chat_local.stack import Stack


async def test_too_many_messages_are_refused_with_the_time_to_wait(stack: "Stack") -> None:
    limited = stack.process("messaging-2")
    await limited.restart(extra_env={"CHAT_REST_SEND_RATE": "3/minute"})
    try:
        await limited.wait_ready()
        async with ApiClient(stack.url) as public, ApiClient(limited.url) as api:
            user = await public.login(await public.register(f"fast_{secrets.token_hex(4)}"))
            room = await public.data("POST", "/room", user, status=201, json={"roomName": "fast"})
            path = f"/room/{room['id']}/messages"
            for number in range(3):
                await api.call("POST", path, user, status=201, json={"content": str(number)})
            answer = await api.send("POST", path, user, json={"content": "one too many"})
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
            assert 0 < int(answer.headers["retry-after"]) <= 60
            assert (await public.data("GET", path, user))["head"] == 3
    finally:
        await limited.restart()
        await limited.wait_ready()
