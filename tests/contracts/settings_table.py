"""The page of all settings, made from the settings models."""

from typing import Any

from chat_shared.effective_settings import variable_names
from chat_shared.settings import ServiceSettings
from pydantic import SecretStr
from pydantic.fields import FieldInfo

HEAD = """# Settings

Every setting is an environment variable, or a file of that name in lower case below `CHAT_SECRETS_DIR`.
The names in brackets are those of the Express original; they work too.
This page is generated: `make contracts`.
"""
COLUMNS = "| Variable | Default | Meaning |\n|---|---|---|\n"


def settings_page(services: dict[str, type[ServiceSettings]]) -> str:
    """Return the Markdown of all settings: those of every service first, then each service's own."""
    parts = [HEAD, "\n## Every service\n\n", COLUMNS, *_rows(ServiceSettings, skip=set())]
    common = set(ServiceSettings.model_fields)
    for service, model in services.items():
        parts += [f"\n## {service}\n\n", COLUMNS, *_rows(model, skip=common)]
    return "".join(parts)


def _rows(model: type[ServiceSettings], skip: set[str]) -> list[str]:
    return [
        f"| {_names(name, field)} | {_default(field)} | {field.description or ''} |\n"
        for name, field in model.model_fields.items()
        if name not in skip and not field.exclude and name != "service"
    ]


def _names(name: str, field: FieldInfo) -> str:
    names = variable_names(name, field)
    others = f" ({', '.join(f'`{other}`' for other in names[1:])})" if names[1:] else ""
    return f"`{names[0]}`{others}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, SecretStr) or value is None or value == "" or value == []:
        return ""
    return f"`{','.join(value) if isinstance(value, list) else value}`"
