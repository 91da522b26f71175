"""The pages for people: the chat at `/`, its documentation at `/docs`, and what both load.

They are plain files of the folder `site`, and their headers allow nothing that does not come from here.
"""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

SITE = Path(__file__).parent / "site"

_INLINE_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)


def add_pages(app: FastAPI) -> None:
    """Add the pages to the gateway's app; they are no part of its API."""
    headers = page_headers(SITE / "index.html")
    site = PageFiles(SITE, headers)

    async def chat(request: Request) -> Response:
        return await site.get_response("index.html", request.scope)

    async def icon(request: Request) -> Response:
        return await site.get_response("assets/icon.svg", request.scope)

    async def docs(_request: Request) -> Response:
        return RedirectResponse("/docs/", status_code=308, headers=headers)

    app.add_route("/", chat, include_in_schema=False)
    app.add_route("/favicon.ico", icon, include_in_schema=False)
    app.add_route("/docs", docs, include_in_schema=False)
    app.mount("/assets", PageFiles(SITE / "assets", headers))
    app.mount("/docs", PageFiles(SITE / "docs", headers))


class PageFiles(StaticFiles):
    """The files of a folder, each with the headers of a page; `index.html` stands for its folder."""

    def __init__(self, folder: Path, headers: dict[str, str]) -> None:
        super().__init__(directory=folder, html=True)
        self._headers = headers

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file, or raise 404."""
        response = await super().get_response(path, scope)
        response.headers.update(self._headers)
        return response


def page_headers(page: Path) -> dict[str, str]:
    """Return the headers of every page.

    The policy (Content Security Policy Level 3) allows scripts, styles and calls of our own only. The one
    script within a page is its import map, which browsers take from nowhere else; it is named by its hash.
    `no-cache`: a browser asks whether its copy is still good, so a new version is seen at once.

    Args:
        page: the file with the import map.
    """
    policy = {
        "default-src": "'none'",
        "script-src": f"'self' {_import_map_hash(page.read_text())}",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-cache",
    }


def _import_map_hash(html: str) -> str:
    [script] = _INLINE_IMPORT_MAP.findall(html)
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
