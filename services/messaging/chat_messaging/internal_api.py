"""Routes for other services, under `/internal/v1`."""

from typing import Annotated

import orjson
from chat_shared.auth import require_service
from chat_shared.bare_route import add_bare_route
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.internal import Heads, HeadsQuery, SendBatch, SendResults
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response

from chat_messaging.epoch import LogEpoch
from chat_messaging.reading import Reader
from chat_messaging.sending import Sending

JSON = "application/json"
MAX_BATCH_BYTES = 16 * 1024 * 1024
ENTRIES_LIMIT = 500


def add_send_route(app: FastAPI, sending: Sending, epoch: LogEpoch) -> None:
    """Serve `POST /internal/v1/messages`: the hot path of every message."""

    async def send_messages(request: Request) -> Response:
        await require_service(request)
        batch = SendBatch.model_validate_json(await request.body())
        await epoch.require(batch.epoch)
        results = SendResults(results=await sending.send(batch.items))
        return Response(results.model_dump_json(exclude_none=True), media_type=JSON)

    add_bare_route(app, "POST", "/internal/v1/messages", send_messages)


def create_internal_router(reader: Reader, epoch: LogEpoch) -> APIRouter:
    """Return the other internal routes."""
    router = APIRouter(
        prefix="/internal/v1", dependencies=[Depends(require_service)], include_in_schema=False
    )

    @router.post("/heads")
    async def heads(query: HeadsQuery) -> Heads:
        """The committed head of each room."""
        before = epoch.current
        return Heads(heads=await reader.heads(query.room_ids), epoch=before)

    @router.get("/rooms/{room_id}/entries")
    async def entries(
        room_id: EntityId,
        after: Annotated[int, Query(ge=0)],
        limit: Annotated[int, Query(ge=1, le=ENTRIES_LIMIT)] = ENTRIES_LIMIT,
    ) -> Response:
        """What follows a `seq`, as frames."""
        before = epoch.current
        frames = await reader.frames_after(room_id, after, limit)
        return Response(orjson.dumps({"entries": frames, "epoch": before}), media_type=JSON)

    return router
