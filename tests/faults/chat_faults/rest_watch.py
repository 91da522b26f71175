"""Asks every service over REST, again and again, and counts who got no answer: a figure, not a promise."""

import asyncio
from collections import Counter
from http import HTTPStatus

import httpx2
from chat_shared.testing import ApiClient, User

PAUSE_SECONDS = 0.1
NO_ANSWER = "no whole answer"


class RestWatch:
    """What a user of REST would have seen. A refusal by a service is an answer; a proxy's 502 is none."""

    def __init__(self, api: ApiClient, user: User, room_id: str) -> None:
        self._api = api
        self._user = user
        self._paths = ("/auth/me", "/room", f"/room/{room_id}/messages", "/media/none")
        self.asked = 0
        self.failures: Counter[str] = Counter()

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for path in self._paths:
                tasks.create_task(self._ask_again(path))

    async def _ask_again(self, path: str) -> None:
        while True:
            self.asked += 1
            if (failure := await self._ask(path)) is not None:
                self.failures[f"{path.split('/')[1]}: {failure}"] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, path: str) -> str | None:
        try:
            answer = await self._api.send("GET", path, self._user)
        except httpx2.HTTPError:
            return NO_ANSWER
        is_ours = "json" in answer.headers.get("content-type", "")
        if is_ours and answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return None
        return str(answer.status_code)
