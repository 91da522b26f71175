"""Putting the demo into an installation, through its public API like any client.

Everything has a name that stays: accounts and rooms their own, each message its number in its room as the
`Idempotency-Key`. So a second run, or one after a broken one, adds only what is missing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chat_local.client.api import Answer, Api
from chat_local.client.demo import Demo, DemoRoom, DemoUser
from chat_local.client.errors import CommandFailed, Refused
from chat_local.client.rooms import rooms_of
from chat_local.client.session import Session, log_in

ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.5
_CREATED, _CONFLICT, _UNAUTHENTICATED = 201, 409, 401


@dataclass
class Seeded:
    """How much was new."""

    users: int = 0
    rooms: int = 0
    messages: int = 0


class Seeder:
    """Puts one demo into one installation."""

    def __init__(self, api: Api, demo: Demo, on_message: Callable[[], None] = lambda: None) -> None:
        """`on_message` is called for each message that is in its room."""
        self._api = api
        self._demo = demo
        self._on_message = on_message
        self._sessions: dict[str, Session] = {}
        self.seeded = Seeded()

    async def run(self) -> Seeded:
        """Put everything there and return how much of it was new.

        Raises:
            CommandFailed: what is there already stays; run it again.
        """
        try:
            for key, user in self._demo.users.items():
                self._sessions[key] = await self._enter(user)
            async with asyncio.TaskGroup() as group:
                for room in self._demo.rooms:
                    group.create_task(self._fill(room))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await asyncio.gather(*(session.end() for session in self._sessions.values()))
        return self.seeded

    async def _enter(self, user: DemoUser) -> Session:
        """Log in, with a new account where there is none."""
        account = {**vars(user), "password": self._demo.password}
        try:
            await self._api.call("POST", "/api/v1/auth/register", body=account)
            self.seeded.users += 1
        except Refused as refused:
            if refused.status != _CONFLICT:
                raise
        try:
            return await log_in(self._api, user.username, self._demo.password)
        except Refused as refused:
            if refused.status != _UNAUTHENTICATED:
                raise
            raise CommandFailed(
                f"There is an account {user.username} with another password, or {user.email} is taken."
            ) from refused

    async def _fill(self, room: DemoRoom) -> None:
        room_id = await self._room_id(room)
        for number, (sender, content) in enumerate(room.messages, start=1):
            await self._send(room_id, sender, f"demo-{number:04}", content)
            self._on_message()

    async def _room_id(self, room: DemoRoom) -> str:
        """Return the owner's room of this name and type, made when missing, with everybody in it."""
        owner = self._sessions[room.owner]
        wanted = (room.name, room.type, "owner")
        found = next((each for each in await rooms_of(owner) if _identity(each) == wanted), None)
        if found is None:
            body = {"roomName": room.name, "roomType": room.type, "description": room.description}
            found = (await self._patiently(owner, "POST", "/api/v1/room", body=body)).data
            self.seeded.rooms += 1
        room_id: str = found["id"]
        for session in self._sessions.values():
            if session is not owner:
                await self._add(owner, room_id, session.user["id"])
        return room_id

    async def _add(self, owner: Session, room_id: str, user_id: str) -> None:
        try:
            await self._patiently(owner, "POST", f"/api/v1/room/{room_id}/members", body={"userId": user_id})
        except Refused as refused:
            if refused.code != "already_member":
                raise

    async def _send(self, room_id: str, sender: str, key: str, content: str) -> None:
        try:
            answer = await self._patiently(
                self._sessions[sender],
                "POST",
                f"/api/v1/room/{room_id}/messages",
                body={"content": content},
                headers={"idempotency-key": key},
            )
        except Refused as refused:
            # An older demo said something else here; what is stored stays.
            if refused.status != _CONFLICT:
                raise
        else:
            self.seeded.messages += answer.status == _CREATED

    async def _patiently(self, session: Session, method: str, path: str, **options: Any) -> Answer:
        """Make a request, again as long as it may work later."""
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer: Answer = await session.call(method, path, **options)
                return answer
            except Refused as refused:
                if not refused.retryable or attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(max(refused.retry_after, pause))
                pause *= 2
        raise AssertionError("the last attempt returns or raises")


def _identity(room: dict[str, Any]) -> tuple[str, str, str]:
    return room["roomName"], room["roomType"], room["role"]
