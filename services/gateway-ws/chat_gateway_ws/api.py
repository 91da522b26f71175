"""HTTP beside Socket.IO: what a person sees who opens the URL in a browser."""

from chat_shared.contracts.base import WireModel
from chat_shared.contracts.envelope import Success
from fastapi import APIRouter

router = APIRouter(tags=["gateway"])


class About(WireModel):
    """What answers here."""

    name: str
    socket_io: str
    rest: str


@router.get("/", include_in_schema=False)
async def about() -> Success[About]:
    """Say what this is and where its parts are."""
    return Success(
        data=About(name="chat", socket_io="/socket.io", rest="/api/v1"), message="A chat backend runs here"
    )
