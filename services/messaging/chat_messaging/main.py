"""The only place that wires messaging together."""

from chat_shared.app import create_service_app
from chat_shared.auth import create_authenticator
from chat_shared.bus import Bus
from chat_shared.crypto import MasterKeys
from chat_shared.http import ServiceClient
from chat_shared.ids import uuid7
from chat_shared.mongo import Mongo
from chat_shared.rate_limits import RateLimiter
from chat_shared.redis import RedisConnection
from fastapi import FastAPI

from chat_messaging.api import create_router
from chat_messaging.appender import AppenderParts
from chat_messaging.appenders import Appenders
from chat_messaging.clients import MediaClient
from chat_messaging.consumers import CacheUpdates, RoomCleanup
from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Draft
from chat_messaging.epoch import LogEpoch
from chat_messaging.fanout import Fanout
from chat_messaging.group_commit import GroupCommit
from chat_messaging.internal_api import MAX_BATCH_BYTES, add_send_route, create_internal_router
from chat_messaging.membership import Member, Memberships
from chat_messaging.reading import Reader
from chat_messaging.relay import Relay
from chat_messaging.room_keys import RoomKeys
from chat_messaging.sending import Sending
from chat_messaging.settings import Settings
from chat_messaging.store.leases import LeaseStore
from chat_messaging.store.log_meta import LogMetaStore
from chat_messaging.store.room_keys import RoomKeyStore
from chat_messaging.store.room_log import RoomLogStore
from chat_messaging.sweep import Sweep


def create_app(settings: Settings) -> FastAPI:
    """Return the service; call it inside the event loop that will serve it."""
    token = settings.service_token.get_secret_value()
    auth_http = ServiceClient("auth", settings.auth_urls, token)
    rooms_http = ServiceClient("rooms", settings.rooms_urls, token)
    media_http = ServiceClient("media", settings.media_urls, token)
    mongo = Mongo(settings.mongo_url, "chat_messaging")
    redis = RedisConnection(settings.redis_url)
    bus = Bus(settings.amqp_url, source="messaging")
    crash_points = CrashPoints(settings.crash_at)

    log_store = RoomLogStore(mongo)
    keys = RoomKeys(RoomKeyStore(mongo), MasterKeys.parse(settings.master_keys.get_secret_value()))
    memberships = Memberships(rooms_http, lambda: bus.is_connected)
    relay = Relay(log_store, bus, crash_points)
    fanout = Fanout(redis.client, crash_points, relay.enqueue)

    def may_write(draft: Draft) -> bool:
        return not memberships.has_left(Member(draft.room_id, draft.key.sender_id))

    inserts = GroupCommit(log_store, crash_points)
    parts = AppenderParts(
        log_store, inserts, may_write, fanout.enqueue, crash_points, settings.max_waiting_per_room
    )
    appenders = Appenders(parts, max_waiting=settings.max_waiting)
    epoch = LogEpoch(mongo, LogMetaStore(mongo), [appenders.forget, keys.forget_all])
    reader = Reader(log_store, keys)
    sending = Sending(
        memberships, MediaClient(media_http, settings.public_url), keys, appenders, crash_points
    )
    leases = LeaseStore(mongo, f"{settings.instance}.{uuid7()}")
    sweep = Sweep(mongo, log_store, leases, reader, fanout, relay, after_seconds=settings.sweep_after_seconds)
    CacheUpdates(bus, memberships, keys)
    RoomCleanup(bus, keys, log_store, fanout)

    app = create_service_app(
        settings,
        title="Chat: messaging",
        description="The room log: history and sending over REST.",
        components=[
            auth_http,
            rooms_http,
            media_http,
            redis,
            memberships,
            mongo,
            epoch,
            bus,
            relay,
            fanout,
            inserts,
            appenders,
            sweep,
        ],
        checks={"mongodb": mongo.check},
        is_prepared=lambda: mongo.is_prepared,
        max_body_size=MAX_BATCH_BYTES,
    )
    app.state.authenticator = create_authenticator(settings, auth_http, redis.client)
    add_send_route(app, sending, epoch)
    app.include_router(create_router(reader, sending, memberships, RateLimiter(redis.client, settings.rates)))
    app.include_router(create_internal_router(reader, epoch))
    return app
