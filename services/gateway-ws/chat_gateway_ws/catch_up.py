"""Catching up: what a socket missed in a room, in order, and then the live messages without a seam."""

import orjson
from chat_shared.contracts.sockets import AckError, AckJoined, SyncedRoom, SyncPosition
from chat_shared.errors import ChatError, Unavailable

from chat_gateway_ws.clients import MessagingClient
from chat_gateway_ws.close_reasons import INCOMPLETE
from chat_gateway_ws.connections import Connection
from chat_gateway_ws.errors import RoomNotFound
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.room_feed import Hold, RoomFeed
from chat_gateway_ws.room_feeds import RoomFeeds
from chat_gateway_ws.wire import raw_event_frame

HISTORY_LIMIT = 50
PAGE = 100
MAX_MISSED = 1_000
"""Further behind than this a client reloads instead: it gets `reset`."""


class CatchUp:
    """Serves `join_room` and `sync`: subscribe and collect first, then read the log, then merge."""

    def __init__(self, memberships: Memberships, feeds: RoomFeeds, messaging: MessagingClient) -> None:
        self._memberships = memberships
        self._feeds = feeds
        self._messaging = messaging

    async def _begin(self, connection: Connection, room_id: str) -> tuple[RoomFeed, Hold]:
        await self._memberships.require(connection, room_id)
        await self._feeds.attach(connection, [room_id])
        feed = self._feeds.get(room_id)
        if feed is None or connection not in feed.listeners:
            raise RoomNotFound  # the membership or the socket ended while we subscribed
        return feed, feed.hold(connection)

    async def join(
        self, connection: Connection, room_id: str, after: int | None, epoch: int | None = None
    ) -> "Joining":
        """Begin to show a room: returns its head and the history to send, with live messages on hold.

        Args:
            after: the last `seq` that the client has, to go on from.
            epoch: the one in which it got that, as far as it says.

        Raises:
            ChatError: not a member, no such room, or a service is away; the socket is live as before.
        """
        feed, hold = await self._begin(connection, room_id)
        try:
            first = await self.history_page(room_id, after)
            self.require_recent(first.head, hold)
            if after is not None and self._must_reset(first.head, after, epoch):
                first, after = await self.history_page(room_id, None), None
                first.reset = True
        except BaseException:
            feed.release(connection, hold, 0)
            raise
        return Joining(self, connection, feed, hold, first, follow=after is not None)

    def _must_reset(self, head: int, after: int, epoch: int | None) -> bool:
        """Tell whether a client at `after` has to begin anew instead of going on."""
        return self._messaging.epoch.is_other(epoch) or not 0 <= head - after <= MAX_MISSED

    async def history_page(self, room_id: str, after: int | None) -> "HistoryPage":
        """Return the newest page of a room, or the one that follows `after`."""
        limit = HISTORY_LIMIT if after is None else PAGE
        return HistoryPage(await self._messaging.history(room_id, after, limit), after or 0)

    @staticmethod
    def require_recent(head: int, hold: Hold) -> None:
        """Refuse an answer that is older than what was delivered before we asked.

        A primary that was cut off from its majority does not know it for some seconds and answers from the
        past; between that and the live messages entries would be missing.

        Raises:
            Unavailable: the log has to be asked again.
        """
        if head < hold.since:
            raise Unavailable

    @property
    def epoch(self) -> int | None:
        """The log's epoch; None when messaging has never answered."""
        return self._messaging.epoch.current

    async def sync(
        self, connection: Connection, position: SyncPosition, epoch: int | None = None
    ) -> SyncedRoom:
        """Send what a socket missed in one room since `position`; failures are part of the answer."""
        try:
            feed, hold = await self._begin(connection, position.room_id)
            try:
                return await self._replay(connection, feed, hold, position.after, epoch)
            except BaseException:
                feed.release(connection, hold, position.after)
                raise
        except ChatError as error:
            problem = AckError(code=error.code, message=error.message, retryable=error.retryable)
            return SyncedRoom(room_id=position.room_id, head=0, error=problem)

    async def _replay(
        self, connection: Connection, feed: RoomFeed, hold: Hold, after: int, epoch: int | None
    ) -> SyncedRoom:
        page = await self._messaging.entries(feed.room_id, after, PAGE)
        head = page.head
        self.require_recent(head, hold)
        if self._must_reset(head, after, epoch):
            feed.release(connection, hold, 0)
            return SyncedRoom(room_id=feed.room_id, head=head, reset=True)
        last = after
        while page.entries:
            for seq, frame in page.entries:
                connection.send(frame)
                last = seq
            await connection.wait_until_read()
            if last >= page.head or connection.closing:
                break
            page = await self._messaging.entries(feed.room_id, last, PAGE)
        feed.release(connection, hold, last)
        return SyncedRoom(room_id=feed.room_id, head=max(head, last))


class HistoryPage:
    """One `message-history` payload, kept as the JSON it came in."""

    __slots__ = ("_json", "count", "epoch", "head", "last", "reset")

    def __init__(self, payload: bytes, after: int) -> None:
        content = orjson.loads(payload)
        self._json = payload
        self.reset = False
        self.epoch: int = content["epoch"]
        self.head: int = content["head"]
        self.count = len(content["messages"])
        self.last: int = content["messages"][-1]["seq"] if self.count else after

    @property
    def payload(self) -> bytes:
        """The payload as clients get it."""
        return self._json[:-1] + (b',"reset":true}' if self.reset else b',"reset":false}')


class Joining:
    """A join whose acknowledgement goes out before its history."""

    __slots__ = ("_catch_up", "_connection", "_feed", "_first", "_follow", "_hold")

    def __init__(
        self,
        catch_up: CatchUp,
        connection: Connection,
        feed: RoomFeed,
        hold: Hold,
        first: HistoryPage,
        *,
        follow: bool,
    ) -> None:
        self._catch_up = catch_up
        self._connection = connection
        self._feed = feed
        self._hold = hold
        self._first = first
        self._follow = follow

    @property
    def answer(self) -> AckJoined:
        """The acknowledgement: where the room stood when its history was read."""
        first = self._first
        return AckJoined(room_id=self._feed.room_id, head=first.head, epoch=first.epoch, reset=first.reset)

    async def send_history(self) -> None:
        """Send the history, page by page where the client is far behind, then what came meanwhile.

        The join was acknowledged before, so a history that cannot be completed ends the socket: live messages
        behind a hole would look like all there is.
        """
        page = self._first
        try:
            while True:
                self._connection.send(raw_event_frame("message-history", page.payload))
                await self._connection.wait_until_read()
                if not self._follow or page.last >= page.head or not page.count or self._connection.closing:
                    break
                page = await self._catch_up.history_page(self._feed.room_id, page.last)
        except ChatError:
            self._connection.close(INCOMPLETE)
            raise
        finally:
            self._feed.release(self._connection, self._hold, page.last)
