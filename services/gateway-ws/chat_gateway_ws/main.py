"""The only place that wires the gateway together."""

import socketio
import uvicorn
from chat_shared.app import create_service_app
from chat_shared.bus import Bus
from chat_shared.http import ServiceClient
from chat_shared.ids import uuid7
from chat_shared.leaving import Leaving
from chat_shared.redis import RedisConnection
from chat_shared.sessions import SessionGuard
from chat_shared.settings import KEEP_ALIVE_SECONDS
from chat_shared.tokens import KeySet, TokenVerifier
from fastapi import FastAPI

from chat_gateway_ws.admission import Admission
from chat_gateway_ws.catch_up import CatchUp
from chat_gateway_ws.clients import AuthClient, MessagingClient, RoomsClient
from chat_gateway_ws.close_reasons import NEW_EPOCH
from chat_gateway_ws.connections import Connections
from chat_gateway_ws.consumers import LiveUpdates
from chat_gateway_ws.drain import Drain
from chat_gateway_ws.events import Events
from chat_gateway_ws.gateway_server import GatewayServer
from chat_gateway_ws.heads_beat import HeadsBeat
from chat_gateway_ws.heartbeats import Heartbeats
from chat_gateway_ws.membership_watch import MembershipWatch
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.pages import add_pages
from chat_gateway_ws.presence import Presence
from chat_gateway_ws.room_feeds import RoomFeeds
from chat_gateway_ws.send_batcher import SendBatcher
from chat_gateway_ws.send_queue import SendLimits
from chat_gateway_ws.server import ChatServer
from chat_gateway_ws.settings import Settings
from chat_gateway_ws.slow_readers import SlowReaders
from chat_gateway_ws.websocket import ShortcutWebSocket


def create_app(settings: Settings) -> FastAPI:
    """Return the gateway's app; `app.state.socketio` is what answers under `/socket.io`."""
    token = settings.service_token.get_secret_value()
    auth_http = ServiceClient("auth", settings.auth_urls, token)
    rooms_http = ServiceClient("rooms", settings.rooms_urls, token)
    messaging_http = ServiceClient("messaging", settings.messaging_urls, token)
    auth, rooms, messaging = AuthClient(auth_http), RoomsClient(rooms_http), MessagingClient(messaging_http)

    async def fetch_keys() -> bytes:
        return await auth_http.request("GET", "/.well-known/jwks.json", timeout=2)

    redis = RedisConnection(settings.redis_url)
    bus = Bus(settings.amqp_url, source="gateway-ws")
    gateway = f"{settings.instance}.{uuid7()}"
    connections = Connections()
    feeds = RoomFeeds(
        settings.redis_url,
        redis.client,
        messaging,
        instance=gateway,
        head_check_seconds=settings.head_check_seconds,
        recent_bytes=settings.recent_bytes,
    )

    def begin_anew() -> None:
        feeds.forget_all()
        for connection in connections:
            connection.close(NEW_EPOCH)

    messaging.epoch.on_change(begin_anew)
    memberships = Memberships(connections, feeds, rooms)
    feeds.subscriber.ask_first(memberships.recheck)
    presence = Presence(
        redis.client,
        connections,
        rooms,
        auth,
        gateway=gateway,
        rules=settings.presence_rules,
        max_members=settings.presence_max_members,
    )
    batcher = SendBatcher(messaging)
    catch_up = CatchUp(memberships, feeds, messaging.epoch)
    heads_beat = HeadsBeat(connections, feeds, messaging.epoch, interval_seconds=settings.heads_seconds)
    leaving = Leaving(settings.drain_wait)
    drain = Drain(connections, leaving, window_seconds=settings.drain_window)
    events = Events(
        connections, feeds, batcher, catch_up, drain, max_pending_sends=settings.max_pending_sends
    )
    server = ChatServer(settings)
    verifier = TokenVerifier(
        KeySet(fetch_keys), issuer=settings.token_issuer, audience=settings.token_audience
    )
    guard = SessionGuard(redis.client, auth_http)
    admission = Admission(
        settings, server, verifier, guard, auth, connections, memberships, feeds, presence, events, drain
    )
    updates = LiveUpdates(bus, connections, memberships, feeds, admission)
    watch = MembershipWatch(memberships, lambda: bus.is_connected)
    heartbeats = Heartbeats(server, settings.ping_timeout_seconds)
    slow_readers = SlowReaders(
        server, connections, SendLimits(settings.max_unsent_packets, settings.max_unsent_bytes)
    )

    app = create_service_app(
        settings,
        title="Chat gateway",
        description="Socket.IO 4 under /socket.io: live messages, presence, typing",
        components=[
            auth_http,
            rooms_http,
            messaging_http,
            redis,
            feeds,
            batcher,
            events,
            heads_beat,
            presence,
            admission,
            slow_readers,
            heartbeats,
            updates,
            watch,
            bus,
        ],
        checks={"redis": redis.check, "subscription": feeds.subscriber.check},
        leaving=leaving,
    )
    add_pages(app)
    app.state.chat_server = server
    app.state.drain = drain
    app.state.slow_readers = slow_readers
    app.state.socketio = socketio.ASGIApp(server, other_asgi_app=app, socketio_path="socket.io")
    return app


async def serve(app: FastAPI, settings: Settings) -> None:
    """Serve Socket.IO and HTTP until SIGTERM.

    Deflate is off and frames are bounded before they are buffered: a small frame must not become a large one.
    """
    config = uvicorn.Config(
        app.state.socketio,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws=ShortcutWebSocket,
        ws_max_size=settings.max_frame_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="on",
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    await GatewayServer(config, app).serve()
