"""The scripts of presence on a real Redis: leases, grace, who is told and how often, whoever dies."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from chat_gateway_ws import presence_store
from chat_gateway_ws.presence_scripts import KEY_SECONDS
from chat_gateway_ws.presence_store import Change, PresenceRules, PresenceStore, Synced
from chat_shared.testing import eventually
from redis.asyncio import Redis
from redis.exceptions import ResponseError

RULES = PresenceRules(lease=60, grace=0.2, window=60)
SHORT_LEASE = 0.1
ROOM = "2" * 24

NewStore = Callable[..., PresenceStore]
Heard = list[dict[str, list[str]]]


@pytest.fixture
def new_store(redis: Redis) -> NewStore:
    """Makes the store of a new gateway."""
    numbers = count(1)

    def make(rules: PresenceRules = RULES) -> PresenceStore:
        return PresenceStore(redis, f"gateway-{next(numbers)}", rules)

    return make


def user(number: int = 1) -> str:
    return f"{number:024x}"


def opened(*user_ids: str, known_in: str = "") -> list[Change]:
    return [Change(user_id, True, known_in) for user_id in user_ids]


def closed(*user_ids: str, known_in: str = "") -> list[Change]:
    return [Change(user_id, False, known_in) for user_id in user_ids]


async def tell(store: PresenceStore, changes: list[Change], **options: Any) -> Synced:
    """Do as a gateway does: tell Redis, then the rooms."""
    answer = await store.sync(changes, **options)
    await store.announce([(user_id, [ROOM]) for user_id in answer.announce])
    return answer


async def patrol(store: PresenceStore) -> tuple[int, int]:
    """Look after everybody once; return how many came and how many went."""
    found = await store.patrol()
    return await store.announce([(user_id, [ROOM]) for user_id in found.announce])


async def patrol_until(store: PresenceStore, heard: Heard, messages: int) -> None:
    async def enough() -> bool:
        await patrol(store)
        return len(heard) >= messages

    await eventually(enough, what=f"{messages} messages")


class TestOneUser:
    async def test_the_first_and_the_last_device_count(self, new_store: NewStore, heard: Heard) -> None:
        one, other = new_store(), new_store()
        await tell(one, opened(user()))
        await tell(other, opened(user()))
        await tell(one, closed(user()))
        await asyncio.sleep(RULES.grace * 1.5)
        assert await patrol(other) == (0, 0)
        await tell(other, closed(user()))
        assert await patrol(one) == (0, 0), "the grace has only begun"
        await patrol_until(one, heard, 2)
        assert heard == [{"user-online": [user()]}, {"user-offline": [user()]}]

    async def test_coming_back_within_the_grace_is_no_news(self, new_store: NewStore, heard: Heard) -> None:
        one, other = new_store(), new_store()
        await tell(one, opened(user()))
        await tell(one, closed(user()))
        await tell(other, opened(user()))
        await asyncio.sleep(RULES.grace * 1.5)
        assert await patrol(one) == (0, 0)
        await eventually(lambda: len(heard) == 1, what="user-online")

    async def test_who_was_never_held_is_not_announced(self, new_store: NewStore) -> None:
        store = new_store()
        assert (await store.sync(closed(user()))).announce == []
        assert await patrol(store) == (0, 0)

    async def test_last_seen_is_when_the_last_socket_closed(self, new_store: NewStore, redis: Redis) -> None:
        store = new_store()
        await tell(store, opened(user()))
        seconds, microseconds = await redis.time()
        await tell(store, closed(user()))

        async def gone() -> bool:
            return await patrol(store) == (0, 1)

        await eventually(gone, what="user-offline")
        [(user_id, moment)] = await store.last_seen()
        closed_at = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
        assert user_id == user()
        assert timedelta(0) <= moment - closed_at < timedelta(seconds=RULES.grace)
        await store.last_seen_stored([(user_id, moment - timedelta(seconds=1))])
        assert await store.last_seen() == [(user_id, moment)], "a later moment than the stored one"
        await store.last_seen_stored([(user_id, moment)])
        assert await store.last_seen() == []


class TestLostGateways:
    async def test_its_users_go_offline_once_whoever_looks(self, new_store: NewStore, heard: Heard) -> None:
        lost, *others = (new_store() for _ in range(5))
        await tell(lost, opened(*map(user, range(5))), lease=SHORT_LEASE)
        for other in others:
            await tell(other, [])

        async def all_gone() -> bool:
            await asyncio.gather(*(patrol(other) for other in others))
            return sum(len(message.get("user-offline", [])) for message in heard) >= 5

        await eventually(all_gone, what="five users offline")
        for _ in range(3):
            await asyncio.gather(*(patrol(other) for other in others))
        gone = [user_id for message in heard for user_id in message.get("user-offline", [])]
        assert sorted(gone) == sorted(map(user, range(5)))

    async def test_who_went_to_another_gateway_stays_online(self, new_store: NewStore, heard: Heard) -> None:
        lost, other = new_store(), new_store()
        await tell(lost, opened(user(1), user(2)), lease=SHORT_LEASE)
        await tell(other, opened(user(1)))
        await patrol_until(other, heard, 2)
        assert heard == [{"user-online": [user(1), user(2)]}, {"user-offline": [user(2)]}]

    async def test_a_sweeper_that_dies_loses_nobody(
        self, new_store: NewStore, heard: Heard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It ended the holds and claimed the users, and then never announced them."""
        monkeypatch.setattr(presence_store, "CLAIM_SECONDS", 0.3)
        lost, dying, other = new_store(), new_store(), new_store()
        await tell(lost, opened(user()), lease=SHORT_LEASE)
        await tell(dying, [])
        await tell(other, [])

        async def claimed() -> bool:
            return (await dying.patrol()).announce == [user()]

        await eventually(claimed, what="the claim")
        assert await patrol(other) == (0, 0), "claimed by one who may still announce it"
        await patrol_until(other, heard, 2)
        assert heard[1] == {"user-offline": [user()]}

    async def test_more_users_than_one_call_takes(
        self, new_store: NewStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(presence_store, "BATCH", 10)
        lost, other = new_store(), new_store()
        users = [user(number) for number in range(25)]
        await tell(lost, opened(*users), lease=SHORT_LEASE)
        await tell(other, [])
        gone = 0

        async def all_gone() -> bool:
            nonlocal gone
            gone += (await patrol(other))[1]
            return gone == len(users)

        await eventually(all_gone, what="everybody offline")
        assert await redis.zrange("presence:gateways", 0, -1) == [b"gateway-2"]

    async def test_who_comes_back_has_to_be_heard_first(self, new_store: NewStore, redis: Redis) -> None:
        """All were away, so no lease runs: nobody may take the others for lost before it is back itself."""
        one, other = new_store(), new_store()
        await tell(one, opened(user(1)), lease=SHORT_LEASE)
        await tell(other, opened(user(2)), lease=SHORT_LEASE)
        await asyncio.sleep(SHORT_LEASE * 2)
        assert (await one.patrol()).announce == []
        assert not await redis.exists("presence:due")
        assert (await one.sync([])).was_running is False
        assert (await one.sync([])).was_running is True

    async def test_after_a_freeze_its_users_come_online_again(
        self, new_store: NewStore, heard: Heard
    ) -> None:
        rules = PresenceRules(lease=60, grace=0.1, window=0)
        frozen, other = new_store(rules), new_store(rules)
        epoch = (await tell(frozen, opened(user()), lease=SHORT_LEASE)).epoch
        await tell(other, [])
        await patrol_until(other, heard, 2)
        assert (await tell(frozen, opened(user(), known_in=epoch))).was_running is False
        await eventually(lambda: len(heard) == 3, what="user-online again")
        assert heard[2] == {"user-online": [user()]}

    async def test_who_left_during_the_freeze_was_announced_already(
        self, new_store: NewStore, heard: Heard
    ) -> None:
        rules = PresenceRules(lease=60, grace=0.1, window=0)
        frozen, other = new_store(rules), new_store(rules)
        epoch = (await tell(frozen, opened(user()), lease=SHORT_LEASE)).epoch
        await tell(other, [])
        await patrol_until(other, heard, 2)
        assert (await tell(frozen, closed(user(), known_in=epoch))).announce == []
        assert await patrol(other) == (0, 0)


class TestFlapping:
    async def test_two_changes_in_the_window_and_then_the_truth(
        self, new_store: NewStore, heard: Heard
    ) -> None:
        rules = PresenceRules(lease=60, grace=0, window=1)
        one, other = new_store(rules), new_store(rules)
        began = time.monotonic()
        for _ in range(10):
            for store in (one, other):
                await tell(store, opened(user()))
                await tell(store, closed(user()))
                await patrol(store)
        await tell(one, opened(user()))
        assert time.monotonic() - began < rules.window
        await patrol_until(other, heard, 3)
        assert time.monotonic() - began >= rules.window - 0.01  # Redis counts in whole milliseconds
        assert heard == [{"user-online": [user()]}, {"user-offline": [user()]}, {"user-online": [user()]}]

    async def test_an_announcement_that_comes_late_tells_what_is_true(
        self, new_store: NewStore, heard: Heard
    ) -> None:
        """A gateway claimed a user, froze, and goes on when the user is back."""
        rules = PresenceRules(lease=60, grace=0, window=0)
        frozen, other = new_store(rules), new_store(rules)
        await tell(frozen, opened(user()))
        await frozen.sync(closed(user()))
        await tell(other, opened(user()))
        assert await frozen.announce([(user(), [ROOM])]) == (0, 0)
        await eventually(lambda: len(heard) == 1, what="user-online")


class TestRedisForgets:
    async def test_who_was_online_before_is_no_news(
        self, new_store: NewStore, redis: Redis, heard: Heard
    ) -> None:
        store = new_store()
        before = (await tell(store, opened(user(1), user(2)))).epoch
        await redis.flushdb()
        after = await tell(store, opened(user(1), known_in=before) + closed(user(2), known_in=before))
        assert after.epoch != before
        assert after.was_running is False
        await tell(store, opened(user(3)))
        await patrol_until(store, heard, 3)
        assert heard == [
            {"user-online": [user(1), user(2)]},
            {"user-online": [user(3)]},
            {"user-offline": [user(2)]},
        ]

    async def test_a_call_that_was_overtaken_is_refused(self, new_store: NewStore, redis: Redis) -> None:
        """It timed out, was repeated, and reaches Redis only now."""
        store = new_store()
        late, store._turns = store._turns, count(10)
        await tell(store, opened(user()))
        store._turns = late
        with pytest.raises(ResponseError, match="OVERTAKEN"):
            await store.sync(closed(user()))
        assert await redis.hgetall(f"presence:user:{user()}") == {b"gateway-1": b"open"}


class TestCost:
    async def test_a_room_gets_one_message_per_batch(self, new_store: NewStore, heard: Heard) -> None:
        store, users = new_store(), [user(number) for number in range(100)]
        await tell(store, opened(*users))
        await eventually(lambda: bool(heard), what="the message")
        assert heard == [{"user-online": users}]


class TestNothingStays:
    async def test_every_key_ends_by_itself(self, new_store: NewStore, redis: Redis) -> None:
        rules = PresenceRules(lease=60, grace=0, window=30)
        store, other = new_store(rules), new_store(rules)
        await tell(store, opened(user(1), user(2), user(3)))
        await tell(store, closed(user(2)))
        await patrol(store)
        await tell(other, opened(user(2), user(4)), lease=SHORT_LEASE)
        await asyncio.sleep(SHORT_LEASE * 2)
        await patrol(store)
        await tell(store, closed(user(3)))
        keys = await redis.keys("presence:*")
        assert len(keys) > 8
        for key in keys:
            assert 0 < await redis.ttl(key) <= KEY_SECONDS, key

    async def test_what_is_left_when_all_are_gone(self, new_store: NewStore, redis: Redis) -> None:
        rules = PresenceRules(lease=60, grace=0, window=0)
        lost, store = new_store(rules), new_store(rules)
        await tell(lost, opened(user(1), user(2)), lease=SHORT_LEASE)
        await tell(store, opened(user(2), user(3)))
        await tell(store, closed(user(2), user(3)))

        async def only_bookkeeping() -> bool:
            await patrol(store)
            await store.last_seen_stored(await store.last_seen())
            kept = {
                b"presence:gateways",
                b"presence:epoch",
                b"presence:turn:gateway-1",
                b"presence:turn:gateway-2",
            }
            return set(await redis.keys("presence:*")) == kept

        await eventually(only_bookkeeping, what="no key of a user or of the lost gateway's users")


async def test_clocks_of_gateways_do_not_matter(
    new_store: NewStore, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes ahead or behind, a lease lasts as long as Redis says."""
    fast, slow = new_store(), new_store()
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 600)
    await tell(fast, opened(user(1)))
    monkeypatch.setattr(time, "time", lambda: clock() - 600)
    await tell(slow, opened(user(2)))
    for store in (fast, slow):
        assert await patrol(store) == (0, 0)
        assert (await store.sync([])).was_running
    await eventually(lambda: len(heard) == 2, what="both online")
