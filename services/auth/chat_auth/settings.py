"""The settings of auth."""

import re
from typing import Annotated, Any, Self

from chat_shared.crypto import MasterKeys
from chat_shared.rate_limits import RateText
from chat_shared.settings import ServiceSettings, setting
from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

#: Development has all its users at one address.
ADDRESS_RATES = {
    "production": {"login": "20/15 minutes", "register": "20/hour"},
    "development": {"login": "1000/15 minutes", "register": "10000/hour"},
}

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"^(\d{1,9})\s*([smhdw]?)$")
_DAY = 86_400


def _to_seconds(value: Any) -> Any:
    """Read `900`, `15m` or `1d`; the Express original wrote its token lives like this."""
    if isinstance(value, str) and (match := _DURATION.match(value.strip().lower())):
        return int(match[1]) * _SECONDS[match[2]]
    return value


Seconds = Annotated[int, BeforeValidator(_to_seconds)]


class Settings(ServiceSettings):
    """What auth needs to run."""

    usual_port = 8101

    service: str = Field("auth", exclude=True)
    master_keys: SecretStr = setting(
        ..., "CHAT_MASTER_KEYS", "Keys that wrap stored keys: `id:base64-of-32-bytes`, the active one first"
    )
    access_token_seconds: Seconds = setting(
        900,
        "CHAT_ACCESS_TOKEN_SECONDS",
        "Life of an access token: seconds, or `15m`, `1d`",
        also=("ACCESS_TOKEN_EXPIRY",),
        ge=30,
        le=_DAY,
    )
    refresh_idle_seconds: Seconds = setting(
        30 * _DAY,
        "CHAT_REFRESH_IDLE_SECONDS",
        "A session ends when it was not refreshed for this long: seconds, or `30d`",
        also=("REFRESH_TOKEN_EXPIRY",),
        ge=60,
        le=365 * _DAY,
    )
    session_seconds: Seconds = setting(
        90 * _DAY,
        "CHAT_SESSION_SECONDS",
        "A session ends this long after the login, whatever happens: seconds, or `90d`",
        ge=60,
        le=365 * _DAY,
    )
    signing_key_days: int = setting(
        30, "CHAT_SIGNING_KEY_DAYS", "Age at which a signing key is replaced by a new one", ge=1, le=365
    )
    login_account_rate: RateText = setting(
        "5/15 minutes", "CHAT_LOGIN_ACCOUNT_RATE", "Wrong passwords allowed for one account"
    )
    login_address_rate: RateText | None = setting(
        None,
        "CHAT_LOGIN_ADDRESS_RATE",
        "Wrong passwords allowed from one address; default `20/15 minutes`, in development 1000",
    )
    register_address_rate: RateText | None = setting(
        None,
        "CHAT_REGISTER_ADDRESS_RATE",
        "Accounts made from one address; default `20/hour`, in development 10000",
    )

    @field_validator("master_keys")
    @classmethod
    def _check_master_keys(cls, value: SecretStr) -> SecretStr:
        MasterKeys.parse(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _fill_in_defaults(self) -> Self:
        rates = ADDRESS_RATES[self.environment]
        self.login_address_rate = self.login_address_rate or rates["login"]
        self.register_address_rate = self.register_address_rate or rates["register"]
        return self

    def secret_values(self) -> dict[str, str]:
        """Return the plain shared secrets by variable name."""
        values = super().secret_values()
        for part in self.master_keys.get_secret_value().split(","):
            key_id, _, key = part.strip().partition(":")
            values[f"CHAT_MASTER_KEYS ({key_id})"] = key
        return values
