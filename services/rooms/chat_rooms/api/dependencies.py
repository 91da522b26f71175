"""What the routes take in, by name."""

from typing import Annotated

from chat_shared.contracts.base import EntityId
from chat_shared.contracts.envelope import PageMeta
from fastapi import Depends, Path, Query, Request

from chat_rooms.cursors import MAX_CURSOR_LENGTH, Position, decode_position
from chat_rooms.service import Parts

MAX_PAGE = 100
DEFAULT_PAGE = 50


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


def _after(
    after: Annotated[
        str | None, Query(max_length=MAX_CURSOR_LENGTH, description="`meta.next` of the page before")
    ] = None,
) -> Position | None:
    return None if after is None else decode_position(after)


PartsOfApp = Annotated[Parts, Depends(_parts)]
RoomId = Annotated[EntityId, Path(description="The room's id")]
MemberId = Annotated[EntityId, Path(description="The member's user id")]
After = Annotated[Position | None, Depends(_after)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Entries of a page at most")]


def page_meta(position: Position | None) -> PageMeta:
    """Return where a list goes on."""
    return PageMeta(next=None if position is None else position.encode())
