"""The settings of messaging."""

from chat_shared.crypto import MasterKeys
from chat_shared.settings import ServiceSettings, setting
from pydantic import Field, SecretStr, field_validator


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
    sweep_after_seconds: float = setting(
        5, "CHAT_SWEEP_AFTER_SECONDS", "Age at which an unpublished message is taken over", ge=1, le=300
    )
    crash_at: str = setting("", "CHAT_CRASH_AT", "Development only: end the process at `<point>:<n>`")

    @field_validator("master_keys")
    @classmethod
    def _well_formed(cls, value: SecretStr) -> SecretStr:
        MasterKeys.parse(value.get_secret_value())
        return value

    def secret_values(self) -> dict[str, str]:
        """Return the plain shared secrets by variable name."""
        return {**super().secret_values(), "CHAT_MASTER_KEYS": self.master_keys.get_secret_value()}
