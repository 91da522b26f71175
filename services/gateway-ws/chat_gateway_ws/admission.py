"""A socket's way in and out: token, session, rooms, presence; and the end of sessions."""

import asyncio
import random
from typing import Any

from chat_shared.contracts.sockets import SessionEnded
from chat_shared.errors import Unauthenticated
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from chat_shared.sessions import SessionGuard
from chat_shared.tokens import MAX_TOKEN_LENGTH, TokenVerifier
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chat_gateway_ws.clients import AuthClient
from chat_gateway_ws.close_reasons import SESSION_ENDED
from chat_gateway_ws.connect_limit import ConnectLimit
from chat_gateway_ws.connections import Connection, Connections, TokenBucket
from chat_gateway_ws.drain import Drain
from chat_gateway_ws.errors import Busy
from chat_gateway_ws.events import Events
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.presence import Presence
from chat_gateway_ws.room_feeds import RoomFeeds
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_gateway_ws.server import ChatServer
from chat_gateway_ws.settings import Settings
from chat_gateway_ws.wire import event_frame

log = get_logger(__name__)

CHECK_BATCH = 1_000


class TooManySockets(Busy):
    code = "too_many_sockets"
    message = "This user has too many open sockets"


class ConnectAuth(BaseModel):
    """The `auth` payload of a stock client; a cookie alone never opens a socket."""

    model_config = ConfigDict(extra="ignore", strict=True)

    token: str = Field(min_length=1, max_length=MAX_TOKEN_LENGTH + len("Bearer "))


class Admission:
    """Lets sockets in, sees them out, and ends those whose session is over."""

    def __init__(
        self,
        settings: Settings,
        server: ChatServer,
        verifier: TokenVerifier,
        guard: SessionGuard,
        auth: AuthClient,
        connections: Connections,
        memberships: Memberships,
        feeds: RoomFeeds,
        presence: Presence,
        events: Events,
        drain: Drain,
    ) -> None:
        self._settings = settings
        self._server = server
        self._verifier = verifier
        self._guard = guard
        self._auth = auth
        self._connections = connections
        self._memberships = memberships
        self._feeds = feeds
        self._presence = presence
        self._events = events
        self._drain = drain
        self._connect_limit = ConnectLimit(settings.connect_rate)
        self._limits = SendLimits(settings.max_unsent_packets, settings.max_unsent_bytes)
        self._tasks = TaskSet()
        server.use(self.connect, self.connected, self.event, self.closed)

    async def start(self) -> None:
        """Check sessions now and then: a revocation event can be missed."""
        self._tasks.spawn(self._check_forever(), name="session-check")

    async def stop(self) -> None:
        """Stop the checks and the server below."""
        await self._tasks.cancel()
        await self._server.stop()

    async def connect(self, eio_sid: str, auth: Any) -> None:
        """Admit a socket into all rooms of its user.

        Raises:
            Unauthenticated: no valid token, or its session is over.
            TooManyConnects: at this moment.
            ChatError: too many sockets, or a service is away (retryable).
        """
        self._drain.require_open()
        self._connect_limit.require()  # before anything that costs us or others more than the answer
        try:
            token = ConnectAuth.model_validate(auth).token.removeprefix("Bearer ")
        except ValidationError as error:
            raise Unauthenticated from error
        identity = await self._verifier.verify(token)
        await self._guard.require_live(identity.session_id)
        connection = self._register(eio_sid, identity)
        try:
            user = self._connections.add(connection)
            await self._memberships.enter_all(connection, user)
            # Once more, now that events about the session find the socket: none can have slipped through.
            await self._guard.require_live(identity.session_id)
        except BaseException:
            self.closed(eio_sid)
            raise

    def _register(self, eio_sid: str, identity: Any) -> Connection:
        user = self._connections.user(identity.user_id)
        if user is not None and len(user.connections) >= self._settings.max_sockets_per_user:
            raise TooManySockets
        socket = self._server.socket(eio_sid)
        if socket is None or not isinstance(socket.queue, SendQueue):
            raise Busy
        bucket = TokenBucket(self._settings.events_per_second, self._settings.events_burst)
        return Connection(eio_sid, identity, socket.queue, self._limits, bucket, self._server.close)

    def connected(self, eio_sid: str) -> None:
        """The CONNECT answer is on its way: let the rest follow and tell others."""
        connection = self._connections.get(eio_sid)
        if connection is None or connection.gone:
            return
        if self._server.socket(eio_sid) is None:
            self.closed(eio_sid)  # it went away while it was let in
            return
        connection.opened()
        self._presence.changed(connection.user_id)

    def event(self, eio_sid: str, name: str, payload: Any, ack_id: int | None) -> bool:
        """Hand an event of an admitted socket on; tell whether its client may go on at this rate."""
        connection = self._connections.get(eio_sid)
        if connection is None or connection.closing:
            return False
        return self._events.handle(connection, name, payload, ack_id)

    def closed(self, eio_sid: str) -> None:
        """Forget a socket; nothing happens when it is forgotten already."""
        connection = self._connections.get(eio_sid)
        if connection is None:
            return
        user = self._connections.user(connection.user_id)
        self._connections.remove(eio_sid)
        self._feeds.detach(connection, connection.listening)
        if user is not None and not user.connections:
            self._presence.changed(user.user_id)

    def end_session(self, session_id: str, reason: str) -> None:
        """Close all sockets of a session and tell them why."""
        for connection in self._connections.of_session(session_id):
            connection.send(event_frame("session-ended", SessionEnded(reason=reason)))
            connection.close(SESSION_ENDED)

    async def check_sessions(self) -> None:
        """Ask auth which of our sessions have ended and close their sockets."""
        session_ids = list({connection.identity.session_id for connection in self._connections})
        for start in range(0, len(session_ids), CHECK_BATCH):
            for session_id in await self._auth.ended_sessions(session_ids[start : start + CHECK_BATCH]):
                self.end_session(session_id, "revoked")

    async def _check_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.session_check_seconds * random.uniform(0.8, 1.0))
            try:
                await self.check_sessions()
            except Exception as error:  # whatever it is: nothing here may end the checks
                log.warning("sessions could not be checked", error=repr(error)[:200])
