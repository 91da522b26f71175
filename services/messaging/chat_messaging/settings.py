"""The settings of messaging."""

from typing import Self

from chat_shared.crypto import MasterKeys
from chat_shared.rate_limits import RateText
from chat_shared.settings import ServiceSettings, setting
from pydantic import Field, SecretStr, field_validator, model_validator

from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import REST_SEND

SEND_RATES = {"production": "200/10 seconds", "development": "10000/10 seconds"}


class Settings(ServiceSettings):
    """What messaging needs beside the common settings."""

    usual_port = 8103

    service: str = Field("messaging", exclude=True)
    master_keys: SecretStr = setting(
        ...,
        "CHAT_MASTER_KEYS",
        "Keys that wrap the room keys: `id:base64-of-32-bytes,…`, the active one first",
        also=("MESSAGE_ENCRYPTION_KEYS",),
    )
    max_waiting_per_room: int = setting(
        2_000, "CHAT_MAX_WAITING_PER_ROOM", "Messages of one room that may wait for their insert", ge=1
    )
    max_waiting: int = setting(20_000, "CHAT_MAX_WAITING", "Messages that may wait in all", ge=1)
    rest_send_rate: RateText | None = setting(
        None,
        "CHAT_REST_SEND_RATE",
        "Messages of one user over REST; default `200/10 seconds`, in development `10000/10 seconds`",
    )
    sweep_after_seconds: float = setting(
        5, "CHAT_SWEEP_AFTER_SECONDS", "Age at which an unpublished message is taken over", ge=1, le=300
    )
    crash_at: str = setting("", "CHAT_CRASH_AT", "Development only: end the process at `<point>:<n>`")

    @field_validator("master_keys")
    @classmethod
    def _well_formed(cls, value: SecretStr) -> SecretStr:
        MasterKeys.parse(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _crash_in_development_only(self) -> Self:
        if self.crash_at and not self.is_development:
            raise ValueError("CHAT_CRASH_AT is set: it ends the process on purpose, so development only")
        CrashPoints(self.crash_at)
        return self

    @property
    def rates(self) -> dict[str, str]:
        """How often one user may do what."""
        return {REST_SEND: self.rest_send_rate or SEND_RATES[self.environment]}

    def secret_values(self) -> dict[str, str]:
        """Return the plain shared secrets by variable name."""
        return {**super().secret_values(), "CHAT_MASTER_KEYS": self.master_keys.get_secret_value()}
