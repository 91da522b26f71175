"""What a service's settings come to, for people to read: `python -m chat_auth config`, or `chat config`."""

from typing import Any

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from chat_shared.settings import ServiceSettings

HIDDEN = "(set)"
URLS = frozenset({"mongo_url", "redis_url", "amqp_url"})
"""They may hold a password before the host."""


def variable_names(name: str, field: FieldInfo) -> list[str]:
    """Return the variables that a setting is read from, today's first, then the original's."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [f"CHAT_{name.upper()}"]


def effective_settings(settings: ServiceSettings) -> list[tuple[str, str]]:
    """Return all settings by variable, with what is secret hidden."""
    return [
        (variable_names(name, field)[0], _shown(name, getattr(settings, name)))
        for name, field in type(settings).model_fields.items()
        if not field.exclude and name != "service"
    ]


def _shown(name: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return _without_password(str(value)) if name in URLS else str(value)


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    credentials, at, address = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}{colon and ':***'}{at}{address}"
