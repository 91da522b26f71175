"""The incarnation of the log: a higher number once a backup was restored, so that no old position counts."""

from collections.abc import Callable, Sequence

from chat_shared.contracts.internal import FIRST_EPOCH
from chat_shared.errors import Unavailable
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from chat_shared.mongo import Mongo
from pymongo.errors import PyMongoError

from chat_messaging.store.log_meta import LogMetaStore

log = get_logger(__name__)

CHECK_SECONDS = 2.0


class LogEpoch:
    """Knows the epoch, and notices a new one while the service runs."""

    def __init__(self, mongo: Mongo, store: LogMetaStore, on_change: Sequence[Callable[[], None]]) -> None:
        """`on_change`: drops what this process believes of the log."""
        self.current = FIRST_EPOCH
        """Only goes up: a restored backup brings an old one along until its operator has raised it."""
        self._store = store
        self._mongo = mongo
        self._on_change = on_change
        self._tasks = TaskSet()
        mongo.prepare_with(self.check)

    async def start(self) -> None:
        """Look now and then whether the log is still the same."""
        self._tasks.spawn(run_forever(self._check_later, name="epoch", pause=CHECK_SECONDS), name="epoch")

    async def stop(self) -> None:
        """Stop looking."""
        await self._tasks.cancel()

    async def _check_later(self) -> None:
        await self._mongo.wait_prepared()
        await self.check()

    async def require(self, epoch: int | None) -> None:
        """Know of an epoch that somebody else knows of: what was numbered by the log before would be lost.

        Raises:
            Unavailable: it cannot be seen for the moment; nothing was done.
        """
        if epoch is None or epoch <= self.current:
            return
        try:
            await self.check()
        except PyMongoError as error:
            raise Unavailable from error
        if epoch > self.current:
            raise Unavailable

    async def check(self) -> None:
        """Read the epoch.

        Raises:
            PyMongoError: MongoDB is away; nothing changes.
        """
        epoch = await self._store.epoch()
        if epoch > self.current:
            log.warning("the log has a new epoch", epoch=epoch, before=self.current)
            self.current = epoch
            for forget in self._on_change:
                forget()
