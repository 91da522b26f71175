"""Writes shared/contracts/, bruno/, what docs/ takes from the code, and the site: `make contracts`."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import chat_auth.main
import chat_auth.settings
import chat_gateway_ws.close_reasons
import chat_gateway_ws.main
import chat_gateway_ws.metrics
import chat_gateway_ws.settings
import chat_media.main
import chat_media.settings
import chat_messaging.main
import chat_messaging.metrics
import chat_messaging.settings
import chat_rooms.main
import chat_rooms.settings
import chat_shared.metrics
import yaml
from chat_faults.catalogue import CATALOGUE
from chat_local.cli import app as chat_command
from chat_shared.settings import ServiceSettings
from fastapi import FastAPI

# Beside this script, which is no package.
sys.path.insert(0, str(Path(__file__).parent))
from asyncapi import asyncapi_document
from bruno_collection import bruno_files
from close_reasons_table import with_close_reasons
from commands_table import with_commands
from docs_site.site import OUT, site_files
from faults_table import with_faults
from metrics_table import metrics_page
from settings_table import settings_page

ROOT = Path(__file__).parents[2]
#: They hold nothing else than what is written here, and a picture to upload.
GENERATED_FOLDERS = ("shared/contracts", "bruno", OUT)
MADE_BY_HAND = {"bruno/picture.png"}
SETTINGS: dict[str, Any] = {
    "environment": "development",
    "service_token": "not-used-while-documents-are-written",
    "master_keys": "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "media_url_key": "not-used-while-documents-are-written",
}
SERVICES: dict[str, tuple[Callable[..., FastAPI], type[ServiceSettings]]] = {
    "auth": (chat_auth.main.create_app, chat_auth.settings.Settings),
    "rooms": (chat_rooms.main.create_app, chat_rooms.settings.Settings),
    "messaging": (chat_messaging.main.create_app, chat_messaging.settings.Settings),
    "media": (chat_media.main.create_app, chat_media.settings.Settings),
    "gateway-ws": (chat_gateway_ws.main.create_app, chat_gateway_ws.settings.Settings),
}
METRICS = {
    "Every service": chat_shared.metrics,
    "gateway-ws": chat_gateway_ws.metrics,
    "messaging": chat_messaging.metrics,
}


class _PlainDumper(yaml.SafeDumper):
    """Writes a value that stands in several places in each of them: readers know no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Tell that no value is to be referred to."""
        return True


async def documents() -> dict[str, str]:
    """Return every generated file's text by its path."""
    openapi = {name: _openapi(*parts) for name, parts in SERVICES.items()}
    files = {f"shared/contracts/openapi/{name}.json": _text(document) for name, document in openapi.items()}
    files |= bruno_files(openapi)
    files["shared/contracts/asyncapi.yaml"] = yaml.dump(asyncapi_document(), Dumper=_PlainDumper, width=110)
    files["docs/settings.md"] = settings_page({name: settings for name, (_, settings) in SERVICES.items()})
    files["docs/metrics.md"] = metrics_page(METRICS)
    page = "docs/socket-protocol.md"
    files[page] = with_close_reasons((ROOT / page).read_text(), chat_gateway_ws.close_reasons.CLOSE_REASONS)
    page = "docs/cli.md"
    files[page] = with_commands((ROOT / page).read_text(), chat_command)
    page = "docs/guarantees.md"
    files[page] = with_faults((ROOT / page).read_text(), CATALOGUE)
    written = {str(page.relative_to(ROOT)): page.read_text() for page in (ROOT / "docs").rglob("*.md")}
    return files | site_files(written | files)


def _openapi(create_app: Callable[..., FastAPI], load: type[ServiceSettings]) -> dict[str, Any]:
    return create_app(load(**SETTINGS)).openapi()


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def left_over(files: Iterable[str]) -> set[str]:
    """Return the paths of what was generated once and is not any more.

    Args:
        files: the paths of all that is generated now.
    """
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in GENERATED_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    return there - set(files) - MADE_BY_HAND


def main() -> None:
    """Write all files, and remove what is left over."""
    files = asyncio.run(documents())
    for path, text in files.items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for path in left_over(files):
        (ROOT / path).unlink()


if __name__ == "__main__":
    main()
