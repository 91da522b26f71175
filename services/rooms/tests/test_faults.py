"""Dependencies that are away: what goes on, what waits, what is refused."""

import asyncio
import signal
from typing import Any

import aio_pika
import pytest
from chat_shared.bus.consumer import parse_event
from chat_shared.contracts.events import Event
from chat_shared.testing import ApiClient, eventually

REFUSAL_SECONDS = 18
"""One wait of ten seconds for MongoDB fits into it, a second one does not."""


@pytest.fixture
async def no_broker(backing: Any) -> Any:
    """Stop RabbitMQ; call it to start it again."""
    broker = backing.process("rabbitmq")
    await broker.stop()

    async def start_again() -> None:
        await broker.start()
        await broker.wait_ready()

    yield start_again
    await start_again()


async def first_in_queue(amqp_url: str, queue_name: str, room_id: str) -> Event:
    """Return the first event about a room that waits in a queue which nobody consumes here."""
    async with await aio_pika.connect(amqp_url) as connection:
        queue = await (await connection.channel()).get_queue(queue_name, ensure=False)

        async def take() -> Event | None:
            message = await queue.get(no_ack=True, fail=False)
            event = message and parse_event(message.routing_key or "", message.body)
            return event if event and event.room_id == room_id else None

        found: Event = await eventually(take, 30, f"an event in {queue_name}")
        return found


class TestRabbitMQ:
    async def test_everything_works_without_it_and_the_events_come_later(
        self,
        api: ApiClient,
        rooms: Any,
        new_user: Any,
        broker: Any,
        no_broker: Any,
        database: Any,
        backing: Any,
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        await api.data("PATCH", f"/room/{room_id}", owner, json={"roomName": "Renamed"})
        await api.data("DELETE", f"/room/{room_id}/members", member)
        await api.data("DELETE", f"/room/{room_id}", owner)
        assert (await api.http.get("/readyz")).status_code == 200
        assert await database.outbox.count_documents({}) >= 6
        await no_broker()
        deleted = await first_in_queue(backing.amqp_url, "messaging.cleanup", room_id)
        assert deleted.rev == 5

        async def is_empty() -> bool:
            return not await database.outbox.count_documents({})

        await eventually(is_empty, 20, "an empty outbox")

    async def test_what_a_dead_process_left_is_published_by_another(
        self, start_rooms: Any, new_user: Any, broker: Any, database: Any, both: Any
    ) -> None:
        async with start_rooms("rooms-3", CHAT_AMQP_URL="amqp://guest:guest@127.0.0.1:9/") as alone:
            room = await alone.data("POST", "/room", new_user(), json={"roomName": "Left"}, status=201)
            assert await database.outbox.count_documents({"owner": "rooms-3"}) == 2
        keys = await broker.keys_about(room["id"], 2)
        assert sorted(keys) == ["member.joined.v1", "room.created.v1"]


class TestRedis:
    async def test_requests_are_answered_without_it(
        self, api: ApiClient, rooms: Any, new_user: Any, backing: Any, neighbours: Any
    ) -> None:
        owner, revoked = new_user(), new_user()
        revoked.access_token = neighbours.access_token(revoked.id, "ended-without-redis")
        neighbours.ended_sessions.add("ended-without-redis")
        redis = backing.process("redis")
        await redis.stop()
        try:
            room_id = await rooms.create(owner)
            await api.data("GET", f"/room/{room_id}", owner)
            await api.refused("GET", "/room", revoked, status=401, code="unauthenticated")
        finally:
            await redis.start()
            await redis.wait_ready()


class TestMongoDB:
    async def test_a_frozen_database_is_a_refusal_in_time(
        self, both: Any, rooms: Any, new_user: Any, backing: Any
    ) -> None:
        owner, user = new_user(), new_user()
        room_id = await rooms.create(owner)
        mongod = backing.process("mongod")
        mongod.kill(signal.SIGSTOP)
        try:
            async with asyncio.timeout(REFUSAL_SECONDS):
                answers = await asyncio.gather(
                    *(
                        api.http.request(method, f"/api/v1{path}", headers=user.headers, timeout=30)
                        for api in both
                        for method, path in (
                            ("GET", f"/room/{room_id}"),
                            ("GET", "/room/public"),
                            ("POST", f"/room/{room_id}/join"),
                        )
                    )
                )
            assert {answer.status_code for answer in answers} == {503}
            assert all(answer.json()["retryable"] for answer in answers)
        finally:
            mongod.kill(signal.SIGCONT)

        async def works() -> bool:
            answer = await both[0].send("POST", f"/room/{room_id}/join", user)
            return answer.status_code in (200, 409)

        await eventually(works, 20)
        assert set(await rooms.members(room_id, owner)) == {owner.id, user.id}
