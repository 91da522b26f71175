"""HTTP beside Socket.IO: what a person sees who opens the URL, and what a load balancer asks."""

from chat_shared.contracts.base import WireModel
from chat_shared.contracts.envelope import Success
from chat_shared.middleware import ROUTABLE_PATH
from fastapi import APIRouter

from chat_gateway_ws.drain import Drain


class About(WireModel):
    """What answers here."""

    name: str
    socket_io: str
    rest: str


def create_router(drain: Drain) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["gateway"], include_in_schema=False)

    @router.get("/")
    async def about() -> Success[About]:
        """Say what this is and where its parts are."""
        return Success(
            data=About(name="chat", socket_io="/socket.io", rest="/api/v1"),
            message="A chat backend runs here",
        )

    @router.get(ROUTABLE_PATH)
    async def routable() -> dict[str, str]:
        """Tell a load balancer whether to send new clients here: 503 from the begin of the drain.

        Unlike `/readyz` it does not ask for Redis: chat goes on without, and all gateways would leave.
        """
        await drain.check()
        return {"status": "routable"}

    return router
