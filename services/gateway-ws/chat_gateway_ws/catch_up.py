"""Catching up: what a socket missed in a room, in order, and then the live messages without a seam."""

from chat_shared.contracts.sockets import AckError, AckJoined, SyncedRoom, SyncPosition
from chat_shared.errors import ChatError, Unavailable

from chat_gateway_ws.close_reasons import INCOMPLETE
from chat_gateway_ws.connections import Connection
from chat_gateway_ws.epoch import LogEpoch
from chat_gateway_ws.errors import RoomNotFound
from chat_gateway_ws.history import HistoryPage
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.room_feed import Hold, RoomFeed
from chat_gateway_ws.room_feeds import RoomFeeds

HISTORY_LIMIT = 50
PAGE = 100
MAX_MISSED = 1_000
"""Further behind than this a client reloads instead: it gets `reset`."""


class CatchUp:
    """Serves `join_room` and `sync`: subscribe and hold first, then read, then merge.

    A socket that comes back is brought to where the room's feed is, and hears from there on what all others
    hear. So it is the feed that must not be older than the client, and the log is asked once for all.
    """

    def __init__(self, memberships: Memberships, feeds: RoomFeeds, epoch: LogEpoch) -> None:
        self._memberships = memberships
        self._feeds = feeds
        self._epoch = epoch

    @property
    def epoch(self) -> int | None:
        """The log's epoch; None when messaging has never answered."""
        return self._epoch.current

    async def _begin(self, connection: Connection, room_id: str) -> tuple[RoomFeed, Hold]:
        await self._feeds.subscriber.settled()
        await self._memberships.require(connection, room_id)
        await self._feeds.attach(connection, [room_id])
        feed = self._feeds.get(room_id)
        if feed is None or connection not in feed.listeners:
            raise RoomNotFound  # the membership or the socket ended while we subscribed
        return feed, feed.hold(connection)

    async def _must_reset(self, feed: RoomFeed, after: int, epoch: int | None) -> bool:
        """Tell whether a client at `after` has to begin anew instead of going on.

        Raises:
            ChatError: the client is ahead of us, and messaging, which knows more, is away.
        """
        if self._epoch.is_other(epoch):
            return True
        await feed.reach(after)
        return not 0 <= feed.delivered - after <= MAX_MISSED

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
            is_reset = after is not None and await self._must_reset(feed, after, epoch)
            if after is None or is_reset:
                first = await self._page(feed, max(0, feed.delivered - HISTORY_LIMIT), HISTORY_LIMIT)
            else:
                first = await self._page(feed, after, PAGE)
            _require_held(feed, connection, hold)
            first.is_reset = is_reset
        except BaseException:
            feed.release(connection, hold, 0)
            raise
        return Joining(self, connection, feed, hold, first)

    async def _page(self, feed: RoomFeed, after: int, limit: int) -> HistoryPage:
        """Return up to `limit` entries of a room that follow `after`."""
        epoch, head = self._epoch.current, feed.delivered
        entries = await feed.after(after, limit) if after < head else []
        if epoch is None or epoch != self._epoch.current:
            raise Unavailable
        return HistoryPage(feed.room_id, after, entries, head, epoch)

    async def next_page(self, feed: RoomFeed, page: HistoryPage) -> HistoryPage:
        """Return the page that follows another one.

        Raises:
            ChatError: messaging is away.
        """
        return await self._page(feed, page.last, PAGE)

    async def sync(
        self, connection: Connection, position: SyncPosition, epoch: int | None = None
    ) -> SyncedRoom:
        """Send what a socket missed in one room since `position`; failures are part of the answer."""
        try:
            feed, hold = await self._begin(connection, position.room_id)
            try:
                if await self._must_reset(feed, position.after, epoch):
                    head = feed.delivered
                    feed.release(connection, hold, 0)
                    return SyncedRoom(room_id=feed.room_id, head=head, reset=True)
                return await self._replay(connection, feed, hold, position.after)
            except BaseException:
                feed.release(connection, hold, position.after)
                raise
        except ChatError as error:
            problem = AckError(code=error.code, message=error.message, retryable=error.retryable)
            return SyncedRoom(room_id=position.room_id, head=0, error=problem)

    @staticmethod
    async def _replay(connection: Connection, feed: RoomFeed, hold: Hold, after: int) -> SyncedRoom:
        last = after
        while last < feed.delivered and not connection.closing:
            page = await feed.after(last, PAGE)
            _require_held(feed, connection, hold)
            for seq, packet in page:
                connection.send_packet(packet)
                last = seq
            hold.sent(last)
            await connection.wait_until_read()
            _require_held(feed, connection, hold)
        feed.release(connection, hold, last)
        return SyncedRoom(room_id=feed.room_id, head=last)


def _require_held(feed: RoomFeed, connection: Connection, hold: Hold) -> None:
    """Return while the socket may be shown more of the room.

    Raises:
        RoomNotFound: its user lost the room while we read.
        Unavailable: and got it back. What the socket hears since then must not be mixed with this catch-up.
    """
    if feed.is_held(connection, hold) or connection.closing:
        return
    raise Unavailable if connection in feed.listeners else RoomNotFound


class Joining:
    """A join whose acknowledgement goes out before its history."""

    __slots__ = ("_catch_up", "_connection", "_feed", "_first", "_hold")

    def __init__(
        self, catch_up: CatchUp, connection: Connection, feed: RoomFeed, hold: Hold, first: HistoryPage
    ) -> None:
        self._catch_up = catch_up
        self._connection = connection
        self._feed = feed
        self._hold = hold
        self._first = first

    @property
    def answer(self) -> AckJoined:
        """The acknowledgement: where the room stood when its history was read."""
        first = self._first
        return AckJoined(room_id=self._feed.room_id, head=first.head, epoch=first.epoch, reset=first.is_reset)

    async def send_history(self) -> None:
        """Send the history, page by page where the client is far behind, then what came meanwhile.

        The join was acknowledged before, so a history that cannot be completed ends the socket: live messages
        behind a hole would look like all there is.
        """
        page = self._first
        try:
            while self._feed.is_held(
                self._connection, self._hold
            ):  # not any more when the user lost the room
                self._connection.send_packet(page.packet())
                self._hold.sent(page.last)
                await self._connection.wait_until_read()
                if page.is_last or self._connection.closing:
                    break
                page = await self._catch_up.next_page(self._feed, page)
        except ChatError:
            self._connection.close(INCOMPLETE)
            raise
        finally:
            self._feed.release(self._connection, self._hold, page.last)
