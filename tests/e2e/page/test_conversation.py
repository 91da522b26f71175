"""Two people at two browsers, one wide and light, one narrow and dark, talk to each other."""

import io
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from chat_shared.testing import eventually
from PIL import Image
from playwright.async_api import expect

MUCH = 130
PAGE = 50
KEPT = 400


def image_bytes() -> bytes:
    """Return a PNG that nobody has seen yet."""
    picture = Image.effect_mandelbrot((640, 400), (-2.2, -1.2, 0.9, 1.2), 60).convert("RGB")
    picture.putpixel((0, 0), tuple(secrets.token_bytes(3)))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


async def test_registering_and_logging_in(visit: Any) -> None:
    alice = await visit("alice", registered=False)
    page = alice.page
    await page.goto(f"{alice.url}/")
    await alice.picture("01-log-in")
    await page.get_by_label("User name or email").fill("nobody-of-that-name")
    await page.locator("#login").get_by_label("Password").fill("whatever it is")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator("#login output")).not_to_be_empty()
    # The browser itself writes the status of a refusal to its console.
    assert [complaint for complaint in alice.complaints if "401" not in complaint] == []
    alice.complaints.clear()
    await alice.register()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("tab", name="Log in")).to_be_visible()
    await page.get_by_label("User name or email").fill(f"{alice.name}@example.org")
    await page.locator("#login").get_by_label("Password").fill("correct horse 42")
    await page.keyboard.press("Enter")
    await alice.is_connected()


async def test_two_people_talk(visit: Any, room_name: str) -> None:
    alice, bob = await visit("alice"), await visit("bob", dark=True, narrow=True)
    await alice.create_room(room_name)
    await alice.picture("02-room-created")
    await bob.join_room(room_name)
    await alice.say("Hello Bob, do you see this?")
    await bob.sees("Hello Bob, do you see this?")

    await bob.field.press_sequentially("I do.")
    await expect(alice.page.locator("#typing")).to_have_text(f"{bob.name} is typing…")
    await alice.picture("03-typing")
    await bob.page.get_by_role("button", name="Send").click()
    await alice.sees("I do.")
    await expect(alice.page.locator("#typing")).to_be_empty()
    await bob.picture("04-narrow-and-dark")
    assert await alice.texts() == await bob.texts()
    assert await alice.seqs() == await bob.seqs() == [1, 2]

    await alice.page.get_by_role("button", name="People").click()
    await expect(alice.page.locator("#people [data-online=true]")).to_have_count(2)
    await alice.picture("05-people")
    await bob.page.close()
    of_bob = alice.page.locator("#people li", has_text=bob.name)
    await expect(of_bob).to_have_attribute("data-online", "false", timeout=30_000)


async def test_unread_messages_are_counted_until_they_are_seen(visit: Any, room_name: str) -> None:
    alice, bob = await visit("alice"), await visit("bob", narrow=True)
    await alice.create_room(room_name)
    await bob.join_room(room_name)
    await bob.page.get_by_role("button", name="Back to the rooms").click()
    await alice.say("one")
    await alice.say("two")
    entry = bob.page.locator("#rooms li", has_text=room_name)
    await expect(entry.locator(".badge")).to_have_text("2 unread")
    assert await bob.page.title() == "(2) Chat"
    await bob.picture("06-unread")
    await bob.page.reload()
    await expect(entry.locator(".badge")).to_have_text("2 unread")
    await bob.open(room_name)
    await bob.sees("two")
    await expect(entry.locator(".badge")).to_be_hidden()
    await alice.say("three")
    await bob.sees("three")
    await eventually(lambda: has_read(bob.page, 3), timeout=15, what="the server knows that Bob has read it")
    await bob.page.reload()
    await expect(entry).to_be_visible()
    await expect(entry.locator(".badge")).to_be_hidden()


async def has_read(page: Any, seq: int) -> bool:
    """Tell whether the server has counted so many messages of the only room, none of them unread."""
    room: dict[str, Any] = await page.evaluate(
        "fetch('/api/v1/room').then((answer) => answer.json()).then(({ data }) => data[0])"
    )
    return (room["lastSeq"], room["unread"]) == (seq, 0)


@pytest.mark.parametrize("way", ["pick", "paste", "drop"])
async def test_images(visit: Any, room_name: str, way: str) -> None:
    alice, bob = await visit("alice", dark=True), await visit("bob", narrow=True)
    await alice.create_room(room_name)
    await bob.join_room(room_name)
    file = {"name": "set.png", "mimeType": "image/png", "buffer": image_bytes()}
    if way == "pick":
        await alice.page.locator("#file").set_input_files(file)
    else:
        await hand_over(alice.page, way, file)
    await expect(alice.page.locator("#tray")).to_contain_text("ready")
    await alice.picture("07-image-ready")
    await alice.say("Look what I found")
    await bob.sees("Look what I found")
    for person in (alice, bob):
        shown = person.page.locator("#messages img")
        await expect(shown).to_have_js_property("naturalWidth", 640)
        assert await shown.get_attribute("alt") == "Look what I found"
    await expect(alice.page.locator("#tray li")).to_have_count(0)
    await alice.picture("08-image-dark")


async def hand_over(page: Any, way: str, file: dict[str, Any]) -> None:
    """Paste or drop a file, as a browser would tell the page of it."""
    await page.evaluate(
        """([way, name, type, bytes]) => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(bytes)], name, { type }));
            const how = { bubbles: true, cancelable: true };
            const [target, event] = way === "paste"
                ? ["#text", new ClipboardEvent("paste", { clipboardData: files, ...how })]
                : ["#room", new DragEvent("drop", { dataTransfer: files, ...how })];
            document.querySelector(target).dispatchEvent(event);
        }""",
        [way, file["name"], file["mimeType"], list(file["buffer"])],
    )


async def test_what_is_no_image_is_not_uploaded(visit: Any, room_name: str) -> None:
    alice = await visit("alice")
    await alice.create_room(room_name)
    text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"text"}
    await alice.page.locator("#file").set_input_files(text)
    await expect(alice.page.locator("#tray")).to_contain_text("not a PNG, JPEG, GIF or WebP image")
    await expect(alice.page.get_by_role("button", name="Send")).to_be_disabled()
    await alice.page.get_by_role("button", name="Remove notes.txt").click()
    await alice.say("without it")
    await alice.sees("without it")


async def test_history_comes_as_one_scrolls_up(
    visit: Any, room_name: str, append: Callable[[str, str, Sequence[str]], Awaitable[None]]
) -> None:
    alice = await visit("alice")
    await alice.create_room(room_name)
    room_id = await alice.page.locator("#rooms [aria-current=true]").get_attribute("data-room")
    me = await alice.page.evaluate("fetch('/api/v1/auth/me').then((answer) => answer.json())")
    await append(room_id, me["data"]["id"], [f"line {number}" for number in range(1, MUCH + 1)])
    await alice.sees(f"line {MUCH}")

    await alice.page.reload()
    await alice.sees(f"line {MUCH}")
    seqs = await alice.seqs()
    assert seqs == list(range(seqs[0], MUCH + 1))
    assert len(seqs) <= MUCH - PAGE
    shown = len(seqs)
    while shown < MUCH:
        await alice.page.locator("#log").evaluate("log => (log.scrollTop = 0)")
        await expect(alice.page.locator("#messages .message")).not_to_have_count(shown)
        shown = len(await alice.seqs())
    await expect(alice.page.locator("#older span")).to_have_text("This is where the room begins.")
    assert await alice.seqs() == list(range(1, MUCH + 1))
    await alice.picture("09-history")

    # Whoever follows a lively room keeps its newest part only, and finds the rest by scrolling up.
    await alice.page.locator("#log").evaluate("log => (log.scrollTop = log.scrollHeight)")
    await append(room_id, me["data"]["id"], [f"more {number}" for number in range(KEPT)])
    await alice.sees(f"more {KEPT - 1}")
    seqs = await alice.seqs()
    assert len(seqs) <= KEPT
    assert seqs == list(range(seqs[0], MUCH + KEPT + 1))
    await alice.page.locator("#log").evaluate("log => (log.scrollTop = 0)")
    await expect(alice.page.locator(f"#messages [data-seq='{seqs[0] - 1}']")).to_have_count(1)
    seqs = await alice.seqs()
    assert seqs == list(range(seqs[0], MUCH + KEPT + 1))


async def test_what_people_write_is_text(visit: Any) -> None:
    """Names, descriptions and messages become no markup, and no script."""
    evil = "<img src=x onerror=alert(1)><b>bold</b>"
    alice, bob = await visit("alice"), await visit("bob")
    room_name = f"{evil[:50]} {secrets.token_hex(3)}"
    await alice.create_room(room_name)
    await bob.join_room(room_name)
    await alice.say(evil)
    await bob.sees(evil)
    await bob.say("javascript:alert(1)")
    await alice.sees("javascript:alert(1)")
    assert await bob.page.locator("#messages b, #messages img, #rooms img, #room-name *").count() == 0


async def test_leaving_a_room(visit: Any, room_name: str) -> None:
    alice, bob = await visit("alice"), await visit("bob")
    await alice.create_room(room_name)
    await bob.join_room(room_name)
    await expect(alice.page.locator("#room-about")).to_contain_text("2 members")
    await bob.page.get_by_role("button", name="Leave").click()
    await bob.page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    await expect(bob.page.locator("#rooms li")).to_have_count(0)
    await expect(alice.page.locator("#room-about")).to_contain_text("1 member ")


async def test_who_is_added_sees_the_room_at_once(visit: Any, room_name: str) -> None:
    alice, bob, apart = await visit("alice"), await visit("bob"), f"Den {secrets.token_hex(3)}"
    await alice.create_room(room_name)
    await bob.join_room(room_name)
    await alice.page.get_by_role("button", name="New room").click()
    await alice.page.get_by_label("Name", exact=True).fill(apart)
    await alice.page.get_by_label("Private").check()
    await alice.page.get_by_role("button", name="Create").click()
    await alice.is_in(apart)
    await alice.page.get_by_role("button", name="People").click()
    # She knows him from the other room only once she has seen who is there.
    await alice.open(room_name)
    await expect(alice.page.locator("#people li", has_text=bob.name)).to_be_visible()
    await alice.open(apart)
    await alice.page.get_by_label("Add somebody").fill(bob.name)
    await alice.page.get_by_role("button", name="Add", exact=True).click()
    await bob.open(apart)
    await alice.say("only us")
    await bob.sees("only us")


async def test_logging_out_ends_it_everywhere_in_this_browser(visit: Any, room_name: str) -> None:
    alice = await visit("alice")
    await alice.create_room(room_name)
    await alice.say("before I go")
    await alice.sees("before I go")
    other = await alice.page.context.new_page()
    await other.goto(f"{alice.url}/")
    await expect(other.locator("#state")).to_have_text("Connected")
    await alice.page.get_by_role("button", name="Log out").click()
    await expect(alice.page.get_by_role("tab", name="Log in")).to_be_visible()
    await expect(other.get_by_role("tab", name="Log in")).to_be_visible()
    await alice.page.reload()
    await expect(alice.page.get_by_role("tab", name="Log in")).to_be_visible()
    assert "before I go" not in await alice.page.content()
    await alice.picture("10-logged-out")
