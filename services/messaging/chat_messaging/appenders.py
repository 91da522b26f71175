"""The appenders of the rooms that are active in this process."""

from collections import OrderedDict

from chat_shared.lifecycle import TaskSet

from chat_messaging.appender import AppenderParts, RoomAppender
from chat_messaging.domain import Draft
from chat_messaging.errors import Busy

MAX_IDLE = 2_000
STOP_SECONDS = 10.0


class Appenders:
    """One appender per active room; idle ones are kept for their head, up to a bound."""

    def __init__(self, parts: AppenderParts, *, max_waiting: int) -> None:
        """`max_waiting`: drafts that may wait in all rooms together."""
        self._parts = parts
        self._max_waiting = max_waiting
        self._waiting = 0
        self._appenders: OrderedDict[str, RoomAppender] = OrderedDict()
        self._running: set[str] = set()
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Nothing to begin: a draft starts what it needs."""

    async def stop(self) -> None:
        """Finish the inserts under way."""
        await self._tasks.finish(STOP_SECONDS)

    def forget(self) -> None:
        """Take nothing for granted any more of what is in the log."""
        for appender in self._appenders.values():
            appender.forget()

    def submit(self, draft: Draft) -> None:
        """Queue a draft in its room.

        Raises:
            Busy: too much waits already.
        """
        if self._waiting >= self._max_waiting:
            raise Busy
        appender = self._appender(draft.room_id)
        appender.submit(draft)
        self._waiting += 1
        draft.answer.add_done_callback(self._answered)
        if draft.room_id not in self._running and not appender.is_idle:
            self._running.add(draft.room_id)
            self._tasks.spawn(self._run(draft.room_id, appender), name="appender")

    def _answered(self, _answer: object) -> None:
        self._waiting -= 1

    def _appender(self, room_id: str) -> RoomAppender:
        appender = self._appenders.get(room_id)
        if appender is None:
            appender = self._appenders[room_id] = RoomAppender(room_id, self._parts)
            self._retire_idle()
        self._appenders.move_to_end(room_id)
        return appender

    def _retire_idle(self) -> None:
        while len(self._appenders) - len(self._running) > MAX_IDLE:
            oldest = next(room_id for room_id in self._appenders if room_id not in self._running)
            del self._appenders[oldest]

    async def _run(self, room_id: str, appender: RoomAppender) -> None:
        try:
            await appender.run()
        finally:
            self._running.discard(room_id)
