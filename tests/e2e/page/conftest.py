"""Real browsers for the tests of the page: Debian's Chromium, driven by Playwright.

Whatever a test does, at its end no page may have written an error to its console or asked another host for
anything. With `CHAT_SCREENSHOTS=<folder>` the tests leave pictures of what they saw.
"""

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from chat_local import debian
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, async_playwright, expect

PASSWORD = "correct horse 42"
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 740}
# It talks to loopback only, and as root it has no sandbox of its own.
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SECONDS = 15.0
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<include ignore_missing="yes">{root}/etc/fonts/fonts.conf</include>
<dir>/usr/share/fonts</dir><dir>{root}/usr/share/fonts</dir><cachedir>{root}/var/cache/fontconfig</cachedir>
</fontconfig>
"""

Visit = Callable[..., Awaitable["Person"]]

expect.set_options(timeout=SECONDS * 1000)


def chromium() -> tuple[str, dict[str, str]]:
    """Return the Chromium of this machine, or else Debian's, unpacked for this user, and its environment."""
    if program := shutil.which("chromium"):
        return program, {}
    if not debian.is_available():
        pytest.skip("no Chromium here, and no apt-get to fetch one with")
    root = debian.unpack("chromium", _packages, _patch_fonts)
    folders = {str(library.parent) for library in root.glob("**/lib*.so*")}
    return f"{root}/usr/lib/chromium/chromium", {
        "LD_LIBRARY_PATH": ":".join(sorted(folders)),
        "FONTCONFIG_FILE": f"{root}/etc/fonts/local.conf",
    }


def _packages(apt: debian.Apt) -> list[str]:
    """Return what Chromium needs here; without any font it ends."""
    return sorted({*apt.missing_for("chromium"), "fonts-dejavu-core"})


def _patch_fonts(root: Path, target: Path) -> None:
    (root / "etc/fonts").mkdir(parents=True, exist_ok=True)
    (root / "etc/fonts/local.conf").write_text(FONTS.format(root=target))


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests; each visitor has a profile of their own in it."""
    program, environment = chromium()
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=program, args=CHROMIUM_OPTIONS, env={**os.environ, **environment}
        )
        yield running
        await running.close()


class Person:
    """Somebody at a browser. What it does wrong is collected in `complaints`."""

    def __init__(self, page: Page, url: str, name: str) -> None:
        self.page = page
        self.url = url
        self.name = name
        self.complaints: list[str] = []
        self.may_lose_connection = False
        page.set_default_timeout(SECONDS * 1000)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"{name}: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        # The browser itself writes an error for each attempt to connect that fails.
        is_lost_connection = "WebSocket connection to" in message.text or "net::ERR_" in message.text
        if message.type == "error" and not (self.may_lose_connection and is_lost_connection):
            self.complaints.append(f"{self.name}: {message.text}")

    def _on_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("blob", "data") and address.netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"{self.name} asked {request.url}")

    async def register(self) -> "Person":
        """Make an account and log in."""
        await self.page.goto(f"{self.url}/")
        await self.page.get_by_role("tab", name="Register").click()
        form = self.page.locator("#register")
        await form.get_by_label("User name").fill(self.name)
        await form.get_by_label("Email").fill(f"{self.name}@example.org")
        await form.get_by_label("Password").fill(PASSWORD)
        await form.get_by_role("button", name="Register").click()
        await self.is_connected()
        return self

    async def is_connected(self) -> None:
        """Wait until the page says that it is connected and caught up."""
        await expect(self.page.locator("#state")).to_have_text("Connected")

    async def create_room(self, name: str) -> None:
        """Make a public room and open it."""
        await self.page.get_by_role("button", name="New room").click()
        await self.page.get_by_label("Name", exact=True).fill(name)
        await self.page.get_by_role("button", name="Create").click()
        await self.is_in(name)

    async def join_room(self, name: str) -> None:
        """Find a public room, join and open it."""
        await self.page.get_by_role("button", name="Find rooms").click()
        await self.page.get_by_label("Search").fill(name)
        await self.page.get_by_role("button", name=f"Join {name}").click()
        await self.is_in(name)

    async def is_in(self, room: str) -> None:
        """Wait until this room is open."""
        await expect(self.page.get_by_role("heading", level=1, name=room)).to_be_visible()

    async def open(self, room: str) -> None:
        """Open a room of the list."""
        await self.page.locator("#rooms").get_by_role("button", name=room).click()
        await self.is_in(room)

    @property
    def field(self) -> Locator:
        """Where messages are written."""
        return self.page.get_by_role("textbox", name="Message")

    async def say(self, text: str) -> None:
        """Send a message; it may be on its way for a while."""
        await self.field.fill(text)
        await self.field.press("Enter")

    def message(self, text: str) -> Locator:
        """The stored message with this text."""
        return self.page.locator("#messages .text").get_by_text(text, exact=True)

    async def sees(self, text: str) -> None:
        """Wait for a stored message with this text; it is there once."""
        await expect(self.message(text)).to_have_count(1)

    async def seqs(self) -> list[int]:
        """Return the numbers of the messages on the screen, from above."""
        items = self.page.locator("#messages .message")
        found: list[int] = await items.evaluate_all("items => items.map((item) => Number(item.dataset.seq))")
        return found

    async def texts(self) -> list[str]:
        """Return the texts on the screen, from above."""
        return await self.page.locator("#messages .text").all_text_contents()

    async def picture(self, name: str) -> None:
        """Leave a screenshot, if somebody wants to see them."""
        if folder := os.environ.get("CHAT_SCREENSHOTS"):
            await self.page.screenshot(path=Path(folder) / f"{name}.png")


@pytest_asyncio.fixture
async def visit(browser: Browser, chat_url: str) -> AsyncIterator[Visit]:
    """Bring somebody to the page: `visit("alice", dark=True, narrow=True)`, with an account and logged in."""
    people: list[Person] = []

    async def come(
        name: str, *, dark: bool = False, narrow: bool = False, registered: bool = True, **options: Any
    ) -> Person:
        context = await browser.new_context(
            color_scheme="dark" if dark else "light",
            viewport=NARROW if narrow else WIDE,  # type: ignore[arg-type]
            locale="en-GB",
            **options,
        )
        person = Person(await context.new_page(), chat_url, f"{name}_{secrets.token_hex(3)}")
        people.append(person)
        return await person.register() if registered else person

    yield come
    for person in people:
        await person.page.context.close()
    assert [complaint for person in people for complaint in person.complaints] == []


@pytest.fixture
def room_name() -> str:
    """A name that no other room has."""
    return f"Lobby {secrets.token_hex(3)}"
