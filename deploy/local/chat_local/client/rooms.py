"""Finding the room that somebody means by an id or a name."""

import re
from collections.abc import AsyncIterator
from typing import Any

from chat_local.client.errors import CommandFailed, Refused
from chat_local.client.session import Session
from chat_local.terminal import printable

Room = dict[str, Any]

PAGE = 100
_ID = re.compile(r"[0-9a-f]{24}")
_NOT_FOUND = 404
# Of public rooms whose names contain the text; the one that is meant has the text as its whole name.
_MOST_SEARCHED = 1000


class NoSuchRoom(CommandFailed):
    """None of my rooms, and no public one, has this id or name."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"No room of yours and no public room is called {printable(wanted)}.")


class SeveralRooms(CommandFailed):
    """The name stands for more than one room."""

    def __init__(self, wanted: str, rooms: list[Room]) -> None:
        ids = ", ".join(room["id"] for room in rooms)
        super().__init__(f"{len(rooms)} rooms are called {printable(wanted)}; give the id: {ids}")


async def enter_room(session: Session, wanted: str) -> tuple[Room, bool]:
    """Return the room, of which the user is a member afterwards, and whether they joined it just now.

    An id wins over a name, one's own rooms over public ones.

    Raises:
        NoSuchRoom, SeveralRooms: the room is not known, or not for sure.
        Refused: it cannot be joined.
        NothingThere, NotChat: see `Api.call`.
    """
    mine = await rooms_of(session)
    known = [room for room in mine if room["id"] == wanted] or [
        room for room in mine if room["roomName"] == wanted
    ]
    if known:
        return _only(wanted, known), False
    public = _only(wanted, await _public_rooms(session, wanted))
    await session.call("POST", f"/api/v1/room/{public['id']}/join")
    return public, True


async def rooms_of(session: Session) -> list[Room]:
    """Return all rooms of a user."""
    return [room async for room in _pages(session, "/api/v1/room", {})]


async def _public_rooms(session: Session, wanted: str) -> list[Room]:
    if _ID.fullmatch(wanted):
        try:
            return [(await session.call("GET", f"/api/v1/room/{wanted}")).data]
        except Refused as refused:
            if refused.status != _NOT_FOUND:
                raise
    found: list[Room] = []
    seen = 0
    async for room in _pages(session, "/api/v1/room/public", {"q": wanted}):
        seen += 1
        found += [room] if room["roomName"] == wanted else []
        if seen == _MOST_SEARCHED:
            break
    return found


async def _pages(session: Session, path: str, query: dict[str, str]) -> AsyncIterator[Room]:
    after: dict[str, str] = {}
    while True:
        answer = await session.call("GET", path, query={**query, **after, "limit": str(PAGE)})
        for room in answer.data:
            yield room
        if not (next_ := answer.body["meta"]["next"]):
            return
        after = {"after": next_}


def _only(wanted: str, rooms: list[Room]) -> Room:
    if not rooms:
        raise NoSuchRoom(wanted)
    if len(rooms) > 1:
        raise SeveralRooms(wanted, rooms)
    return rooms[0]
