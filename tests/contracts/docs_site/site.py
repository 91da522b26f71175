"""Puts the site together: one text per path."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from docs_site import events
from docs_site.catalogue import navigation
from docs_site.links import SITE, SOURCE, address
from docs_site.markdown import Markdown

OUT = "services/gateway-ws/chat_gateway_ws/site/docs"
ASYNCAPI = "shared/contracts/asyncapi.yaml"
OPENAPI = "shared/contracts/openapi/"
DECISIONS = f"{SOURCE}/decisions"
FIXED = {"api": "REST API", "decisions": "Decisions", "events": "Socket events"}


def site_files(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the files of the site by their paths in the repository.

    Args:
        sources: by path in the repository, the Markdown pages below docs/ and the contracts.

    Raises:
        ValueError: a page has no title, or the name of one that is made from other sources.
    """
    return _Site(sources).files()


class _Site:
    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        paths = sorted(path for path in sources if PurePosixPath(path).suffix == ".md")
        self._services = [PurePosixPath(path).stem for path in sources if path.startswith(OPENAPI)]
        self._markdown = Markdown(self._addresses(paths))
        self._pages = {path: self._markdown.page(path, sources[path]) for path in paths}
        self._top = {
            PurePosixPath(path).stem: page
            for path, page in self._pages.items()
            if PurePosixPath(path).parent == PurePosixPath(SOURCE)
        }
        if taken := self._top.keys() & FIXED.keys():
            raise ValueError(
                f"the site has a page of another source with this name: {', '.join(sorted(taken))}"
            )
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.globals["groups"] = list(navigation(self._top, frozenset(FIXED)))
        self._environment.filters["inline"] = self._markdown.inline

    def files(self) -> dict[str, str]:
        decisions = {address(path): page for path, page in self._pages.items() if path.startswith(DECISIONS)}
        document = yaml.safe_load(self._sources[ASYNCAPI])
        parts = events.parts(document, self._markdown.inline)
        structures = events.structures(document, self._markdown.inline)
        files = {
            "index.html": self._render("index.html", "/", "Documentation"),
            "api.html": self._render("api.html", "/api.html", FIXED["api"], services=self._services),
            "events.html": self._render(
                "events.html",
                "/events.html",
                FIXED["events"],
                parts=parts,
                structures=structures,
                info=document["info"],
            ),
            "decisions.html": self._render(
                "decisions.html", "/decisions.html", FIXED["decisions"], decisions=decisions
            ),
            "asyncapi.yaml": self._sources[ASYNCAPI],
        }
        for service in self._services:
            files[f"openapi/{service}.json"] = self._sources[f"{OPENAPI}{service}.json"]
        for path, page in self._pages.items():
            here = address(path).removeprefix(SITE)
            current = "/decisions.html" if path.startswith(DECISIONS) else here
            files[here[1:]] = self._render("page.html", current, page.title, page=page)
        return {f"{OUT}/{name}": text for name, text in files.items()}

    def _addresses(self, paths: list[str]) -> dict[str, str]:
        addresses = {path: address(path) for path in paths}
        addresses |= {DECISIONS: f"{SITE}/decisions.html", OPENAPI[:-1]: f"{SITE}/api.html"}
        addresses |= {
            f"{OPENAPI}{service}.json": f"{SITE}/openapi/{service}.json" for service in self._services
        }
        return addresses | {ASYNCAPI: f"{SITE}/asyncapi.yaml"}

    def _render(self, template: str, current: str, title: str, **context: Any) -> str:
        return self._environment.get_template(template).render(title=title, current=SITE + current, **context)
