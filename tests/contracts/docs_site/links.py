"""Where a link of a Markdown page leads on the site."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

#: Folder of the Markdown pages in the repository, and the path of the site.
SOURCE, SITE = "docs", "/docs"
_OUTSIDE = re.compile(r"(https?|mailto):", re.IGNORECASE)


@dataclass(frozen=True)
class OnSite:
    """The link works with this href."""

    href: str


@dataclass(frozen=True)
class InRepository:
    """The target is a file of the repository that the site does not have."""

    path: str


def resolve(href: str, page: str, addresses: Mapping[str, str]) -> OnSite | InRepository:
    """Return where `href` leads from a page.

    Args:
        page: the page's path in the repository, e.g. `docs/clients.md`.
        addresses: by its path in the repository, the address of each page of the site.
    """
    if href.startswith("#") or _OUTSIDE.match(href):
        return OnSite(href)
    path, hash_mark, fragment = href.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    if target in addresses:
        return OnSite(addresses[target] + hash_mark + fragment)
    return InRepository(target)


def address(path: str) -> str:
    """Return the address of the page made from a Markdown file, e.g. `/docs/clients.html`."""
    return SITE + path.removeprefix(SOURCE).removesuffix(".md") + ".html"
