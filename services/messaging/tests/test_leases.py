"""Work that one process does at a time."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from chat_messaging.store.leases import LeaseStore
from chat_shared.mongo import Mongo
from chat_shared.testing import eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

LONG, SHORT = timedelta(minutes=1), timedelta(milliseconds=50)


@pytest.fixture
async def mongo(stack: "Stack") -> AsyncIterator[Mongo]:
    mongo = Mongo(stack.mongo_url, f"test_leases_{secrets.token_hex(4)}")
    await mongo.start()
    yield mongo
    await mongo.stop()


async def test_one_holds_it_and_renews_it(mongo: Mongo) -> None:
    one, other = LeaseStore(mongo, "one"), LeaseStore(mongo, "other")
    assert await one.hold("work", LONG)
    assert await one.hold("work", LONG)
    assert not await other.hold("work", LONG)
    assert await other.hold("other work", LONG)


async def test_another_follows_when_it_is_over(mongo: Mongo) -> None:
    one, other = LeaseStore(mongo, "one"), LeaseStore(mongo, "other")
    assert await one.hold("work", SHORT)
    await eventually(lambda: other.hold("work", LONG), timeout=5)
    assert not await one.hold("work", LONG)


async def test_another_follows_when_it_is_given_up(mongo: Mongo) -> None:
    one, other = LeaseStore(mongo, "one"), LeaseStore(mongo, "other")
    assert await one.hold("work", LONG)
    await other.release("work")
    assert not await other.hold("work", LONG)
    await one.release("work")
    assert await other.hold("work", LONG)
