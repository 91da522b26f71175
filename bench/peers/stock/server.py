"""A chat server as the documentation of python-socketio, PyMongo and uvicorn shows it.

Settings come from the environment: PORT, HOST, MONGO_URL, MONGO_DB, REDIS_URL, BENCH_SECRET.
"""

import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import jwt
import socketio
import uvicorn
from bson import ObjectId
from bson.errors import InvalidId
from pymongo import AsyncMongoClient, WriteConcern
from socketio.exceptions import ConnectionRefusedError  # noqa: A004 - as its documentation has it
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

SECRET = os.environ["BENCH_SECRET"]
ROOM_ID = re.compile(r"[0-9a-f]{24}")
PAGE = 50
MAX_PAGE = 100
MAX_CONTENT = 4000

# --- Storage

mongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["MONGO_URL"], tz_aware=True)
db = mongo[os.environ["MONGO_DB"]]
members = db["members"]
messages = db.get_collection("messages", write_concern=WriteConcern(w="majority", j=True))


async def is_member(room_id: Any, user_id: str) -> bool:
    """Tell whether the user may read and write the room."""
    if not isinstance(room_id, str) or not ROOM_ID.fullmatch(room_id):
        return False
    member = {"roomId": room_id, "userId": user_id}
    return await members.find_one(member, {"_id": 0, "userId": 1}) is not None


async def history(
    room_id: str, limit: int = PAGE, before: tuple[datetime, ObjectId] | None = None
) -> dict[str, Any]:
    """Return the newest messages, or the newest of those before a time and an id; oldest first.

    Ids alone are no order: within a second those of two processes compare by chance.
    """
    wanted: dict[str, Any] = {"roomId": room_id}
    if before:
        created, message_id = before
        wanted["createdAt"] = {"$lte": created}
        wanted["$or"] = [{"createdAt": {"$lt": created}}, {"_id": {"$lt": message_id}}]
    newest = await messages.find(wanted).sort([("createdAt", -1), ("_id", -1)]).limit(limit).to_list()
    return {"roomId": room_id, "messages": [to_wire(message) for message in reversed(newest)]}


def to_wire(message: dict[str, Any]) -> dict[str, Any]:
    """Return a stored message as clients see it."""
    created = message["createdAt"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    wire = message | {"messageId": str(message["_id"]), "createdAt": created}
    del wire["_id"]
    return wire


def user_of(token: str) -> str:
    """Return the user whom a token names.

    Raises:
        jwt.InvalidTokenError: it is not one of ours, or too old.
    """
    user_id: str = jwt.decode(token, SECRET, algorithms=["HS256"])["sub"]
    return user_id


# --- Socket.IO

redis = socketio.AsyncRedisManager(os.environ["REDIS_URL"])
sio = socketio.AsyncServer(async_mode="asgi", client_manager=redis)


@sio.event
async def connect(sid: str, _environ: dict[str, Any], auth: dict[str, Any] | None) -> None:
    """Let in whoever has a token."""
    try:
        user_id = user_of((auth or {}).get("token", ""))
    except jwt.InvalidTokenError:
        refusal = {"code": "unauthenticated", "retryable": False}
        raise ConnectionRefusedError("unauthenticated", refusal) from None
    # The rooms are kept here because `sio.rooms` goes through every room of the server to find a client's.
    await sio.save_session(sid, {"user_id": user_id, "rooms": set()})


@sio.event
async def join_room(sid: str, data: dict[str, Any]) -> dict[str, Any]:
    """Join a room; its newest messages follow the acknowledgement."""
    session = await sio.get_session(sid)
    room_id = data.get("roomId")
    if not await is_member(room_id, session["user_id"]):
        return refused("not_a_member")
    await sio.enter_room(sid, room_id)
    session["rooms"].add(room_id)
    sio.start_background_task(send_history, sid, room_id)
    return {"ok": True, "roomId": room_id}


async def send_history(sid: str, room_id: str) -> None:
    """Send a client the newest messages of a room."""
    # The one addressee is connected here: the queue would carry the page to every process for nothing.
    await sio.emit("message-history", await history(room_id), to=sid, ignore_queue=True)


@sio.event
async def send_message(sid: str, data: dict[str, Any]) -> dict[str, Any]:
    """Store a message and pass it on to everybody in its room."""
    session = await sio.get_session(sid)
    room_id, content = data.get("roomId"), data.get("content")
    if room_id not in session["rooms"]:
        return refused("not_a_member")
    if not isinstance(content, str) or len(content) > MAX_CONTENT:
        return refused("invalid")
    message = {
        "_id": ObjectId(),
        "roomId": room_id,
        "senderId": session["user_id"],
        "content": content,
        "messageType": data.get("messageType", "text"),
        "createdAt": datetime.now(UTC),
        "clientMessageId": data.get("clientMessageId"),
    }
    await messages.insert_one(message)
    sent = to_wire(message)
    await sio.emit("new-message", sent, room=room_id)
    return {"ok": True, "messageId": sent["messageId"], "createdAt": sent["createdAt"]}


def refused(code: str) -> dict[str, Any]:
    """Return the answer to what failed."""
    return {"ok": False, "error": {"code": code, "message": code, "retryable": False}}


# --- HTTP


async def get_history(request: Request) -> JSONResponse:
    """GET /history?roomId=&before=<createdAt>_<messageId>&limit="""
    try:
        user_id = user_of(request.headers.get("Authorization", "").removeprefix("Bearer "))
    except jwt.InvalidTokenError:
        return JSONResponse(refused("unauthenticated"), 401)
    query = request.query_params
    try:
        limit, before = int(query.get("limit", PAGE)), position_of(query.get("before"))
    except (ValueError, InvalidId):
        return JSONResponse(refused("invalid"), 400)
    if not 1 <= limit <= MAX_PAGE:
        return JSONResponse(refused("invalid"), 400)
    room_id = query.get("roomId", "")
    if not await is_member(room_id, user_id):
        return JSONResponse(refused("not_a_member"), 403)
    return JSONResponse(await history(room_id, limit, before))


def position_of(cursor: str | None) -> tuple[datetime, ObjectId] | None:
    """Return where a page ends.

    Raises:
        ValueError, InvalidId: the cursor is not one.
    """
    if not cursor:
        return None
    created, _, message_id = cursor.partition("_")
    return datetime.fromisoformat(created), ObjectId(message_id)


# --- Start and end


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Make the indexes; at the end close what is open."""
    await members.create_index([("roomId", 1), ("userId", 1)], unique=True)
    await messages.create_index([("roomId", 1), ("createdAt", -1), ("_id", -1)])
    yield
    await sio.shutdown()
    await mongo.close()


app = socketio.ASGIApp(sio, Starlette(routes=[Route("/history", get_history)], lifespan=lifespan))


class Server(uvicorn.Server):
    """Says when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as usual."""
        await super().startup(sockets)
        print("ready", flush=True)  # noqa: T201 - whoever started this process waits for it


if __name__ == "__main__":
    Server(
        uvicorn.Config(
            app,
            host=os.environ.get("HOST", "127.0.0.1"),
            port=int(os.environ["PORT"]),
            loop="uvloop",
            http="httptools",
            ws_per_message_deflate=False,
            ws_ping_interval=None,  # Engine.IO has a heartbeat of its own
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=5,
        )
    ).run()
