"""The settings that every service has; each service derives its own `Settings`.

Values come from, first match wins: arguments, environment, files of `CHAT_SECRETS_DIR` (one file per
setting, named like the variable in lower case), defaults. Only `main.py` of a service reads them.
"""

import os
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DRAIN_WAIT_SECONDS = {"production": 5.0, "development": 0.0}
MIN_SECRET_LENGTH = 32
MIN_SECRET_VARIETY = 10

#: How long a server keeps an idle connection: longer than any of its clients does (Traefik 90 s, our own
#: calls 30 s), so that it is never the server who closes one just when a request is on its way.
KEEP_ALIVE_SECONDS = 120
BASE_URLS = "Base URLs of {}, comma-separated; `dns+http://name:port` stands for all addresses of a name"
_SAMPLE_WORDS = ("changeme", "change-me", "example", "secret", "password", "default")


def setting(
    default: Any, name: str, description: str, *, also: tuple[str, ...] = (), **constraints: Any
) -> Any:
    """Return a field read from the environment variable `name`, or from the older names in `also`.

    `also` holds the names that the Express original used, so that its `.env` goes on working.
    """
    alias = AliasChoices(name, *also)
    return Field(default, validation_alias=alias, description=description, **constraints)


def is_weak_secret(value: str) -> bool:
    """Tell whether a secret is short, monotonous or a sample value."""
    short = len(value) < MIN_SECRET_LENGTH or len(set(value)) < MIN_SECRET_VARIETY
    return short or value.lower().startswith(_SAMPLE_WORDS)


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class ServiceSettings(BaseSettings):
    """What every service needs to run."""

    model_config = SettingsConfigDict(
        env_prefix="CHAT_", extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    usual_port: ClassVar[int] = 0
    """Where the service listens unless told otherwise."""

    service: str = Field("service", exclude=True)
    environment: Literal["development", "production"] = setting(
        "production", "CHAT_ENVIRONMENT", "`production` refuses weak secrets; `development` allows test hooks"
    )
    instance: str = setting(
        "", "CHAT_INSTANCE", "Name of this process in logs and metrics; default: the service"
    )
    host: str = setting("127.0.0.1", "CHAT_HOST", "Address to listen on")
    port: int = setting(
        0, "CHAT_PORT", "Port to listen on; 0 picks the service's usual one", also=("PORT",), ge=0, le=65535
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "CHAT_LOG_LEVEL", "Lowest level logged"
    )
    public_url: str = setting("http://localhost:8080", "CHAT_PUBLIC_URL", "The one URL that clients use")
    allowed_origins: Annotated[list[str], NoDecode] = setting(
        [], "CHAT_ALLOWED_ORIGINS", "Further browser origins, comma-separated, exact", also=("CORS_ORIGIN",)
    )
    trusted_proxies: str = setting(
        "127.0.0.1,::1", "CHAT_TRUSTED_PROXIES", "Addresses whose X-Forwarded-* headers are believed"
    )
    service_token: SecretStr = setting(
        ..., "CHAT_SERVICE_TOKEN", "Shared secret of calls between services, 32+ characters"
    )
    mongo_url: str = setting(
        "mongodb://127.0.0.1:27017/?replicaSet=chat",
        "CHAT_MONGO_URL",
        "MongoDB replica set",
        also=("MONGO_URI", "MONGODB_URI"),
    )
    redis_url: str = setting(
        "redis://127.0.0.1:6379/0", "CHAT_REDIS_URL", "Redis or Valkey", also=("REDIS_URL",)
    )
    amqp_url: str = setting(
        "amqp://guest:guest@127.0.0.1:5672/", "CHAT_AMQP_URL", "RabbitMQ", also=("RABBITMQ_URL", "AMQP_URL")
    )
    auth_urls: Annotated[list[str], NoDecode] = setting(
        ["http://127.0.0.1:8101"],
        "CHAT_AUTH_URLS",
        BASE_URLS.format("auth"),
    )
    rooms_urls: Annotated[list[str], NoDecode] = setting(
        ["http://127.0.0.1:8102"],
        "CHAT_ROOMS_URLS",
        BASE_URLS.format("rooms"),
    )
    messaging_urls: Annotated[list[str], NoDecode] = setting(
        ["http://127.0.0.1:8103"],
        "CHAT_MESSAGING_URLS",
        BASE_URLS.format("messaging"),
    )
    media_urls: Annotated[list[str], NoDecode] = setting(
        ["http://127.0.0.1:8104"],
        "CHAT_MEDIA_URLS",
        BASE_URLS.format("media"),
    )
    token_issuer: str = setting("chat-auth", "CHAT_TOKEN_ISSUER", "`iss` of access tokens")
    token_audience: str = setting("chat", "CHAT_TOKEN_AUDIENCE", "`aud` of access tokens")
    otlp_url: str = setting(
        "",
        "CHAT_OTLP_URL",
        "Base URL of an OpenTelemetry collector (OTLP over HTTP); without it nothing is traced",
    )
    trace_ratio: float = setting(
        0.01, "CHAT_TRACE_RATIO", "Share of messages and requests that are traced", ge=0, le=1
    )
    drain_wait_seconds: float | None = setting(
        None,
        "CHAT_DRAIN_WAIT_SECONDS",
        "How long load balancers have to notice that a process is to stop; default 5, in development 0",
        ge=0,
        le=60,
    )
    shutdown_seconds: int = setting(
        10, "CHAT_SHUTDOWN_SECONDS", "How long requests may finish after SIGTERM", ge=1, le=300
    )

    _split_lists = field_validator(
        "allowed_origins", "auth_urls", "rooms_urls", "messaging_urls", "media_urls", mode="before"
    )(_split)

    def __init__(self, **values: Any) -> None:
        secrets_dir = os.environ.get("CHAT_SECRETS_DIR")
        super().__init__(_secrets_dir=secrets_dir, **values)

    @property
    def drain_wait(self) -> float:
        """Seconds for which a process that is to stop goes on as before, only not to be sent anything."""
        if self.drain_wait_seconds is None:
            return DRAIN_WAIT_SECONDS[self.environment]
        return self.drain_wait_seconds

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        self.instance = self.instance or self.service
        self.port = self.port or self.usual_port
        return self

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        if self.environment == "production":
            for name, value in self.secret_values().items():
                if is_weak_secret(value):
                    raise ValueError(
                        f"{name} is missing or weak: set at least {MIN_SECRET_LENGTH} random characters"
                    )
        return self

    def secret_values(self) -> dict[str, str]:
        """Return the plain shared secrets by variable name; a service adds its own."""
        return {"CHAT_SERVICE_TOKEN": self.service_token.get_secret_value()}

    @property
    def is_development(self) -> bool:
        """Whether test hooks and insecure cookies are allowed."""
        return self.environment == "development"

    @property
    def origins(self) -> frozenset[str]:
        """The browser origins that may use cookies and open sockets."""
        return frozenset(url.rstrip("/") for url in (self.public_url, *self.allowed_origins))
