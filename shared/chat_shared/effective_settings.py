"""What a service's settings come to, for people to read: `python -m chat_auth config`, or `chat config`."""

from typing import Any

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from chat_shared.settings import ServiceSettings

HIDDEN = "(set)"
SAFE_OPTIONS = frozenset({"replicaSet", "tls", "authSource", "ssl", "heartbeat", "protocol"})
"""Options of URLs that are shown; of all others only the name, as some hold passwords."""


def variable_names(name: str, field: FieldInfo) -> list[str]:
    """Return the variables that a setting is read from, today's first, then the original's."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [f"CHAT_{name.upper()}"]


def effective_settings(settings: ServiceSettings) -> list[tuple[str, str]]:
    """Return all settings by variable, with what is secret hidden."""
    return [
        (variable_names(name, field)[0], _shown(getattr(settings, name)))
        for name, field in type(settings).model_fields.items()
        if not field.exclude and name != "service"
    ]


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    values = value if isinstance(value, list) else [value]
    return ",".join(_without_secrets(str(each)) for each in values)


def _without_secrets(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    credentials, at, place = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    address, mark, query = place.partition("?")
    options = "&".join(_shown_option(option) for option in query.split("&"))
    return f"{scheme}://{user}{colon and ':***'}{at}{address}{mark}{options}"


def _shown_option(option: str) -> str:
    name, _, _ = option.partition("=")
    return option if name in SAFE_OPTIONS or "=" not in option else f"{name}=***"
