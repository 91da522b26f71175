"""The epoch of the log: raised after a restore, noticed by processes that run."""

import secrets
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from chat_messaging.epoch import LogEpoch
from chat_messaging.store.log_meta import LogMetaStore
from chat_shared.errors import Unavailable
from chat_shared.mongo import Mongo

if TYPE_CHECKING:
    from chat_local.stack import Stack


@pytest.fixture
async def mongo(stack: "Stack") -> AsyncIterator[Mongo]:
    mongo = Mongo(stack.mongo_url, f"test_epoch_{secrets.token_hex(4)}")
    yield mongo
    await mongo.stop()


@pytest.fixture
def store(mongo: Mongo) -> LogMetaStore:
    return LogMetaStore(mongo)


@pytest.fixture
def forgotten() -> list[str]:
    return []


@pytest.fixture
def epoch(mongo: Mongo, store: LogMetaStore, forgotten: list[str]) -> LogEpoch:
    return LogEpoch(mongo, store, [lambda: forgotten.append("appenders"), lambda: forgotten.append("keys")])


class TestRaise:
    async def test_the_first_one_is_1(self, store: LogMetaStore) -> None:
        assert await store.epoch() == 1

    async def test_is_above_all_before_also_those_that_a_backup_does_not_know(
        self, store: LogMetaStore
    ) -> None:
        before = int(time.time())
        first = await store.raise_epoch()
        second = await store.raise_epoch()
        assert before <= first < second == await store.epoch()


class TestCheck:
    async def test_a_new_one_makes_the_process_forget(
        self, epoch: LogEpoch, store: LogMetaStore, forgotten: list[str]
    ) -> None:
        await epoch.check()
        assert (epoch.current, forgotten) == (1, [])
        raised = await store.raise_epoch()
        await epoch.check()
        await epoch.check()
        assert (epoch.current, forgotten) == (raised, ["appenders", "keys"])


class TestRequire:
    async def test_what_somebody_else_knows_is_looked_up(self, epoch: LogEpoch, store: LogMetaStore) -> None:
        raised = await store.raise_epoch()
        await epoch.require(None)
        await epoch.require(1)
        assert epoch.current == 1
        await epoch.require(raised)
        assert epoch.current == raised

    async def test_what_cannot_be_seen_is_refused(self, epoch: LogEpoch) -> None:
        with pytest.raises(Unavailable):
            await epoch.require(2)
