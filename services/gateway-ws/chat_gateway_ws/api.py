"""HTTP beside Socket.IO: what a person sees who opens the URL."""

from chat_shared.contracts.base import WireModel
from chat_shared.contracts.envelope import Success
from fastapi import APIRouter


class About(WireModel):
    """What answers here."""

    name: str
    socket_io: str
    rest: str


def create_router() -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["gateway"], include_in_schema=False)

    @router.get("/")
    async def about() -> Success[About]:
        """Say what this is and where its parts are."""
        return Success(
            data=About(name="chat", socket_io="/socket.io", rest="/api/v1"),
            message="A chat backend runs here",
        )

    return router
