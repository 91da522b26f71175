"""Wires the service together."""

from chat_shared.app import create_service_app
from chat_shared.auth import create_authenticator
from chat_shared.bus import Bus
from chat_shared.http import ServiceClient
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from chat_shared.rate_limits import RateLimiter
from chat_shared.redis import RedisConnection
from fastapi import FastAPI

from chat_rooms.api import internal_router, members_router, rooms_router
from chat_rooms.clients import Accounts, RoomLogs
from chat_rooms.consumers import consume_events
from chat_rooms.service import Parts
from chat_rooms.service.cleaning import Cleaner
from chat_rooms.service.positions import ActivityWriter
from chat_rooms.settings import Settings
from chat_rooms.store import Collections, DeletedRooms, Positions, Queries, Transactions


def create_app(settings: Settings) -> FastAPI:
    """Return the app of rooms; call it inside the event loop that will run it."""
    service_token = settings.service_token.get_secret_value()
    mongo = Mongo(settings.mongo_url, "chat_rooms")
    redis = RedisConnection(settings.redis_url)
    bus = Bus(settings.amqp_url, source="rooms")
    outbox = Outbox(mongo, bus, instance=settings.instance, redis=redis.client)
    auth = ServiceClient("auth", settings.auth_urls, service_token)
    messaging = ServiceClient("messaging", settings.messaging_urls, service_token)
    collections = Collections(mongo)
    positions = Positions(collections)
    cleaner = Cleaner(DeletedRooms(collections))
    parts = Parts(
        queries=Queries(collections),
        transactions=Transactions(mongo, collections, outbox),
        positions=positions,
        cleaner=cleaner,
        accounts=Accounts(auth),
        room_logs=RoomLogs(messaging),
        bounds=settings.bounds,
        limits=RateLimiter(redis.client, settings.rates),
    )
    consume_events(bus, parts, ActivityWriter(positions))
    app = create_service_app(
        settings,
        title="Chat: rooms",
        description="Rooms, their members and roles, and what is unread in them.",
        components=[mongo, redis, auth, messaging, bus, outbox, cleaner],
        checks={"mongodb": mongo.check},
        is_prepared=lambda: mongo.is_prepared,
    )
    app.state.authenticator = create_authenticator(settings, auth, redis.client)
    app.state.parts = parts
    for router in (rooms_router, members_router, internal_router):
        app.include_router(router)
    return app
