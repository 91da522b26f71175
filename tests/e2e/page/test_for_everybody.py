"""The page and the documentation are safe, work offline and for people who see or point badly."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import Page, expect

ROOT = Path(__file__).parents[3]
SITE = ROOT / "services/gateway-ws/chat_gateway_ws/site"
MODULES = ROOT / "tests/e2e/js/node_modules"
DOCS = sorted(path.name for path in (SITE / "docs").glob("*.html"))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = [{"dark": dark, "narrow": narrow} for dark in (False, True) for narrow in (False, True)]


def look_name(look: dict[str, bool]) -> str:
    return f"{'dark' if look['dark'] else 'light'}-{'narrow' if look['narrow'] else 'wide'}"


async def has_no_barrier(page: Page) -> None:
    """Ask axe-core about what the page shows now; nothing serious may be wrong with it."""
    # Passed to the browser by its debugging interface, which no policy of the page forbids.
    await page.evaluate((MODULES / "axe-core" / "axe.min.js").read_text())
    report = await page.evaluate("(rules) => axe.run({ runOnly: rules })", RULES)
    serious = [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in report["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    assert serious == []
    assert report["passes"], "it looked at nothing"


@pytest.mark.parametrize("look", LOOKS, ids=look_name)
async def test_no_view_has_a_barrier(visit: Any, room_name: str, look: dict[str, bool]) -> None:
    name = look_name(look)
    person = await visit("alice", registered=False, **look)
    page = person.page
    await page.goto(f"{person.url}/")
    await expect(page.get_by_role("tab", name="Log in")).to_be_visible()
    await has_no_barrier(page)
    await person.picture(f"20-log-in-{name}")
    await person.register()
    await has_no_barrier(page)
    await page.get_by_role("button", name="New room").click()
    await has_no_barrier(page)
    await person.picture(f"21-new-room-{name}")
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await person.create_room(room_name)
    await person.say("What is said here stays")
    await person.sees("What is said here stays")
    await has_no_barrier(page)
    await person.picture(f"22-room-{name}")
    for aside, button in (("#people", "People"), ("#panel", "Inside")):
        await page.get_by_role("button", name=button).click()
        await expect(page.locator(aside)).to_be_visible()
        await has_no_barrier(page)
        await person.picture(f"23-{aside[1:]}-{name}")
        await page.locator(aside).get_by_role("button", name="Close").click()
        await expect(page.locator(aside)).to_be_hidden()
        await expect(page.get_by_role("button", name=button)).to_be_focused()
    if look["narrow"]:
        await page.get_by_role("button", name="Back to the rooms").click()
        await expect(page.locator("#rooms").get_by_role("button", name=room_name)).to_be_focused()
    await page.get_by_role("button", name="Find rooms").click()
    await expect(page.locator("#find-room li").first).to_be_visible()
    await has_no_barrier(page)


@pytest.mark.parametrize("look", [{}, {"narrow": True}], ids=["wide", "narrow"])
async def test_nothing_sticks_out(visit: Any, look: dict[str, bool]) -> None:
    """No view is wider than the screen, whatever long words it shows."""
    person = await visit("a" * 20, **look)
    await person.create_room("m" * 80)
    await person.say("w" * 500)
    await person.sees("w" * 500)
    width = await person.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] == width[1]
    log = await person.page.locator("#log").evaluate("log => [log.scrollWidth, log.clientWidth]")
    assert log[0] == log[1]


async def test_the_keyboard_is_enough(visit: Any, room_name: str) -> None:
    alice, bob = await visit("alice"), await visit("bob", registered=False)
    await alice.create_room(room_name)
    page, keys = bob.page, bob.page.keyboard
    await page.goto(f"{bob.url}/")
    await expect(page.get_by_label("User name or email")).to_be_focused()
    await keys.press("Shift+Tab")
    await keys.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Register")).to_be_focused()
    await keys.press("Tab")
    for text in (bob.name, f"{bob.name}@example.org", "correct horse 42"):
        await keys.type(text)
        await keys.press("Tab")
    await keys.press("Enter")
    await bob.is_connected()
    await page.get_by_role("button", name="Find rooms").focus()
    await keys.press("Enter")
    await expect(page.get_by_label("Search")).to_be_focused()
    await keys.type(room_name)
    join = page.get_by_role("button", name=f"Join {room_name}")
    await expect(join).to_be_visible()
    await keys.press("Tab")
    await expect(join).to_be_focused()
    await keys.press("Enter")
    await bob.is_in(room_name)
    await expect(bob.field).to_be_focused()
    await keys.type("by keys alone")
    await keys.press("Enter")
    await alice.sees("by keys alone")


async def test_headers_allow_nothing_from_elsewhere(chat_url: str) -> None:
    async with httpx2.AsyncClient(base_url=chat_url) as http:
        for path in ("/", "/favicon.ico", "/assets/chat-client.js", "/docs/", "/docs/guarantees.html"):
            answer = await http.get(path)
            assert answer.status_code == 200, path
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-"), path
            assert "unsafe" not in policy
            assert "*" not in policy
            assert "http" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
        assert (await http.get("/docs")).headers["location"] == "/docs/"


OUTSIDE = [
    "/assets/../pages.py",
    "/assets/..%2f..%2fpages.py",
    "/docs/%2e%2e/%2e%2e/main.py",
    "/docs/../../main.py",
    "/assets//etc/passwd",
    "/docs/decisions/../../../settings.py",
]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_nothing_but_the_site_is_served(gateway_urls: list[str], path: str) -> None:
    """Asked past every client and proxy that would tidy the path."""
    address = urlsplit(gateway_urls[0])
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert b"import" not in answer


async def test_a_copy_that_is_still_good_is_not_sent_again(chat_url: str) -> None:
    async with httpx2.AsyncClient(base_url=chat_url) as http:
        for path in ("/", "/assets/chat-client.js"):
            first = await http.get(path)
            again = await http.get(path, headers={"if-none-match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


def test_the_vendored_client_is_the_one_of_the_registry() -> None:
    """To renew it: raise the version in tests/e2e/js/package.json, and copy the file."""
    vendored = SITE / "assets/vendor/socket.io.esm.min.js"
    original = MODULES / "socket.io-client/dist/socket.io.esm.min.js"
    assert vendored.read_bytes() == original.read_bytes()
    version = json.loads((MODULES / "socket.io-client/package.json").read_text())["version"]
    assert f"Socket.IO v{version}" in vendored.read_text()[:100]


@pytest.mark.parametrize(
    "look", [{"dark": False, "narrow": False}, {"dark": True, "narrow": True}], ids=look_name
)
async def test_the_documentation_has_no_barrier(visit: Any, look: dict[str, bool]) -> None:
    assert len(DOCS) > 5
    reader = await visit("reader", registered=False, **look)
    for name in DOCS:
        await reader.page.goto(f"{reader.url}/docs/{name}")
        await expect(reader.page.get_by_role("heading", level=1).first).to_be_visible()
        await has_no_barrier(reader.page)
        size = await reader.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert size[0] == size[1], f"{name} is too wide"
        await reader.picture(f"30-docs-{name.removesuffix('.html')}-{look_name(look)}")
