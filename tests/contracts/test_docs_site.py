"""The committed site under /docs: links lead somewhere, a strict Content-Security-Policy allows all of it."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from docs_site.site import site_files
from html_elements import Element, elements

SITE = Path(__file__).parents[2] / "services/gateway-ws/chat_gateway_ws/site"
PAGES = sorted((SITE / "docs").rglob("*.html"))
OUTSIDE = re.compile(r"(https?|mailto):")
CONTRACTS = {
    "shared/contracts/asyncapi.yaml": "{operations: {}, info: {}, components: {schemas: {}, messages: {}}}"
}


@cache
def _elements(page: Path) -> list[Element]:
    return elements(page.read_text())


@cache
def _ids(page: Path) -> frozenset[str]:
    return frozenset(element.attributes["id"] for element in _elements(page) if "id" in element.attributes)


def _references(page: Path) -> Iterator[str]:
    for element in _elements(page):
        yield from (element.attributes[name] for name in ("href", "src") if name in element.attributes)


def _file(page: Path, path: str) -> Path:
    """Return the file that the gateway serves for a path."""
    if not path:
        return page
    target = SITE / path.removeprefix("/") if path.startswith("/") else page.parent / path
    return target / "index.html" if path.endswith("/") else target


def test_there_are_pages() -> None:
    assert {"index.html", "api.html", "events.html", "clients.html"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for reference in _references(page):
        # The chat page is made elsewhere.
        if OUTSIDE.match(reference) or reference == "/":
            continue
        parts = urlsplit(reference)
        target = _file(page, unquote(parts.path))
        if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in _ids(target)):
            broken.append(reference)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))
def test_no_page_needs_what_the_policy_forbids(page: Path) -> None:
    for element in _elements(page):
        loads = element.attributes.get(
            "src", element.attributes.get("href", "") if element.tag == "link" else ""
        )
        assert not loads or loads.startswith("/assets/"), element
        assert element.tag not in {"style", "iframe", "object", "embed", "base", "form", "img"}, element
        assert element.tag != "script" or ("src" in element.attributes and not element.text.strip()), element
        assert not [name for name in element.attributes if name == "style" or name.startswith("on")], element
        assert not element.attributes.get("href", "").lower().startswith(("javascript:", "data:")), element


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(SITE)))
def test_every_page_can_be_found_and_read_aloud(page: Path) -> None:
    found = _elements(page)
    assert [element.attributes["lang"] for element in found if element.tag == "html"] == ["en"]
    assert len([element for element in found if element.tag == "h1"]) == 1
    assert len([element for element in found if element.tag == "main"]) == 1
    assert len(_ids(page)) == len([element for element in found if "id" in element.attributes])
    address = f"/{page.relative_to(SITE)}"
    linked = {reference for other in PAGES if other != page for reference in _references(other)}
    assert address.removesuffix("index.html") in linked


@pytest.mark.parametrize("style", sorted(SITE.glob("assets/**/*.css")), ids=lambda style: style.name)
def test_no_style_sheet_loads_from_elsewhere(style: Path) -> None:
    text = style.read_text()
    assert "@import" not in text
    assert {url[:5] for url in re.findall(r"url\([\"']?([^)]*)", text)} <= {"data:"}


def test_pages_that_nobody_named_come_last() -> None:
    files = site_files(CONTRACTS | {"docs/zebra.md": "# Of zebras", "docs/clients.md": "# Clients"})
    index = next(text for path, text in files.items() if path.endswith("/docs/index.html"))
    links = [element for element in elements(index) if element.attributes.get("href", "").endswith(".html")]
    assert links[-1].attributes["href"] == "/docs/zebra.html"
    assert links[-1].text.startswith("Of zebras")
    assert "/docs/docker.html" not in {link.attributes["href"] for link in links}


def test_two_sources_of_one_page_are_refused() -> None:
    with pytest.raises(ValueError, match="another source with this name: events"):
        site_files(CONTRACTS | {"docs/events.md": "# Events"})


def test_the_contracts_are_copied_as_they_are() -> None:
    contracts = SITE.parents[3] / "shared/contracts"
    for path in (
        "asyncapi.yaml",
        *(f"openapi/{document.name}" for document in contracts.glob("openapi/*.json")),
    ):
        assert (SITE / "docs" / path).read_bytes() == (contracts / path).read_bytes()
