"""The gateway's settings."""

from chat_shared.settings import ServiceSettings, setting
from pydantic import Field

from chat_gateway_ws.presence_store import PresenceRules

CONNECTS_PER_SECOND = {"production": 200.0, "development": 5_000.0}
#: In development everybody has the same address.
HANDSHAKES_PER_ADDRESS = {"production": 100, "development": 2_000}
DRAIN_SECONDS = {"production": 30.0, "development": 0.0}


class Settings(ServiceSettings):
    """What the gateway needs beside the common settings."""

    usual_port = 8105

    service: str = Field("gateway-ws", exclude=True)
    max_frame_bytes: int = setting(
        65_536,
        "CHAT_MAX_FRAME_BYTES",
        "Largest WebSocket frame or polling body from a client",
        ge=8_192,
        le=1_048_576,
    )
    polling: bool = setting(True, "CHAT_POLLING", "Whether HTTP long-polling is offered beside WebSocket")
    ping_interval_seconds: float = setting(
        25, "CHAT_PING_INTERVAL_SECONDS", "Engine.IO heartbeat", gt=0, le=300
    )
    ping_timeout_seconds: float = setting(
        10, "CHAT_PING_TIMEOUT_SECONDS", "Silence after a heartbeat", gt=0, le=300
    )
    connect_timeout_seconds: float = setting(
        5, "CHAT_CONNECT_TIMEOUT_SECONDS", "How long a socket may stay without a valid CONNECT", gt=0, le=60
    )
    connects_per_second: float | None = setting(
        None,
        "CHAT_CONNECTS_PER_SECOND",
        "Sockets let in per second, twice as many at once; default 200, in development 5000",
        gt=0,
    )
    max_handshakes: int = setting(
        2_000, "CHAT_MAX_HANDSHAKES", "Sessions without a CONNECT yet; one more ends the oldest", ge=1
    )
    max_handshakes_per_address: int | None = setting(
        None,
        "CHAT_MAX_HANDSHAKES_PER_ADDRESS",
        "Those of one client address; default 100, in development 2000",
        ge=1,
    )
    max_unsent_packets: int = setting(
        512,
        "CHAT_MAX_UNSENT_PACKETS",
        "Packets that may wait for one client before it is closed as slow",
        ge=16,
    )
    max_unsent_bytes: int = setting(
        1_048_576,
        "CHAT_MAX_UNSENT_BYTES",
        "Bytes that may wait for one client before it is closed as slow",
        ge=65_536,
    )
    max_pending_sends: int = setting(
        64, "CHAT_MAX_PENDING_SENDS", "Unanswered send_message events per socket", ge=1
    )
    events_per_second: float = setting(20, "CHAT_EVENTS_PER_SECOND", "Sustained events of one socket", gt=0)
    events_burst: int = setting(60, "CHAT_EVENTS_BURST", "Events of one socket at once", ge=1)
    max_sockets_per_user: int = setting(
        20, "CHAT_MAX_SOCKETS_PER_USER", "Live sockets of one user per gateway", ge=1
    )
    presence_grace_seconds: float = setting(
        10, "CHAT_PRESENCE_GRACE_SECONDS", "How long a user may be away before user-offline", ge=0, le=300
    )
    presence_lease_seconds: float = setting(
        15,
        "CHAT_PRESENCE_LEASE_SECONDS",
        "How long a gateway that is not heard of any more still counts as alive; the same at every gateway",
        ge=1,
        le=60,
    )
    presence_window_seconds: float = setting(
        30,
        "CHAT_PRESENCE_WINDOW_SECONDS",
        "In how long a time at most two changes of a user are announced; the same at every gateway",
        ge=0,
        le=300,
    )
    presence_max_members: int = setting(
        200, "CHAT_PRESENCE_MAX_MEMBERS", "Larger rooms get no user-online and user-offline events", ge=1
    )
    drain_seconds: float | None = setting(
        None,
        "CHAT_DRAIN_SECONDS",
        "Over how long sockets are sent elsewhere before a gateway stops; default 30, in development 0",
        ge=0,
        le=300,
    )
    session_check_seconds: float = setting(
        25, "CHAT_SESSION_CHECK_SECONDS", "How often auth is asked whether sessions still live", ge=1, le=30
    )
    head_check_seconds: float = setting(
        2, "CHAT_HEAD_CHECK_SECONDS", "How often delivered positions are compared with the log", ge=0.1, le=60
    )
    recent_bytes: int = setting(
        67_108_864,
        "CHAT_RECENT_BYTES",
        "Memory for the last messages of all rooms, which sockets that come back are served from",
        ge=0,
    )
    heads_seconds: float = setting(
        30, "CHAT_HEADS_SECONDS", "How often a socket is told how far its rooms are", ge=0.1, le=3600
    )

    @property
    def presence_rules(self) -> PresenceRules:
        """The times that presence goes by."""
        return PresenceRules(
            lease=self.presence_lease_seconds,
            grace=self.presence_grace_seconds,
            window=self.presence_window_seconds,
        )

    @property
    def connect_rate(self) -> float:
        """Sockets that are let in per second."""
        return self.connects_per_second or CONNECTS_PER_SECOND[self.environment]

    @property
    def handshakes_per_address(self) -> int:
        """Sessions of one client address that may be open without a CONNECT."""
        return self.max_handshakes_per_address or HANDSHAKES_PER_ADDRESS[self.environment]

    @property
    def drain_window(self) -> float:
        """Seconds over which sockets are closed when the gateway stops."""
        return DRAIN_SECONDS[self.environment] if self.drain_seconds is None else self.drain_seconds
