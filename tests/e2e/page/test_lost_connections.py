"""Whatever the connection does, people see the room's log: nothing missing, doubled or out of order."""

import asyncio
import base64
import re
from typing import TYPE_CHECKING, Any

from playwright.async_api import WebSocketRoute, expect

if TYPE_CHECKING:
    from chat_local.stack import Stack

LINES = 30
FAILURES = 7  # more than one call repeats by itself
ONE_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def test_gateways_die_during_a_conversation(own_stack: "Stack", visit: Any, room_name: str) -> None:
    alice, bob = await visit("alice"), await visit("bob", dark=True)
    for person in (alice, bob):
        person.may_lose_connection = True
    await alice.create_room(room_name)
    await bob.join_room(room_name)

    said = []
    for number in range(LINES):
        if number in (8, 18):  # one, and when all are back the other one
            gateway = own_stack.process(f"gateway-ws-{number // 8}")
            gateway.kill()
        speaker = alice if number % 2 else bob
        said.append(f"line {number}")
        await speaker.say(said[-1])
        if number in (12, 24):
            await alice.picture(f"11-gateway-killed-{number}")
            await own_stack.process(f"gateway-ws-{number // 12}").wait_ready()
            for person in (alice, bob):
                await person.is_connected()
    for person in (alice, bob):
        for line in said:
            await person.sees(line)
        await expect(person.page.locator("#pending li")).to_have_count(0)
        assert await person.seqs() == list(range(1, LINES + 1))
    assert await alice.texts() == await bob.texts()
    # Each one's own lines stand in the order in which they were written.
    for mine in (said[0::2], said[1::2]):
        assert [text for text in await alice.texts() if text in mine] == mine
    await bob.picture("12-all-there")


async def test_the_button_that_cuts_the_connection(visit: Any, room_name: str) -> None:
    alice, bob = await visit("alice"), await visit("bob")
    alice.may_lose_connection = True
    await alice.create_room(room_name)
    await bob.join_room(room_name)
    await alice.page.get_by_role("button", name="Inside").click()
    await alice.page.get_by_role("button", name="Cut the connection").click()
    await alice.say("written while cut off")
    await bob.say("said meanwhile")
    await alice.sees("said meanwhile")
    await alice.sees("written while cut off")
    await bob.sees("written while cut off")
    await alice.is_connected()
    panel = alice.page.locator("#panel")
    await expect(panel.locator("dt:text('Times connected') + dd")).to_have_text("2")
    cells = panel.locator("tbody tr", has_text=room_name).locator("td")
    await expect(cells).to_have_text(["2", "2"])
    await alice.picture("13-inside")


class Network:
    """The way of a page to its gateway, which can be shut."""

    def __init__(self) -> None:
        self.is_open = True
        self._routes: list[WebSocketRoute] = []

    @classmethod
    async def before(cls, person: Any) -> "Network":
        """Stand between somebody's page and its gateway."""
        network = cls()
        await person.page.route_web_socket(re.compile(r"/socket\.io/"), network._on_socket)
        await person.page.reload()  # what is connected already goes its own way
        await person.is_connected()
        return network

    async def _on_socket(self, route: WebSocketRoute) -> None:
        if not self.is_open:
            await route.close()
            return
        route.connect_to_server()
        self._routes.append(route)

    async def shut(self) -> None:
        """Cut what is connected, and let nothing through."""
        self.is_open = False
        for route in self._routes:
            await route.close()


async def test_what_was_written_offline_survives_a_reload(visit: Any, room_name: str) -> None:
    alice, bob = await visit("alice"), await visit("bob")
    network = await Network.before(alice)
    await alice.create_room(room_name)
    await bob.join_room(room_name)

    await network.shut()
    await expect(alice.page.locator("#state")).to_contain_text("Reconnecting")
    await alice.say("first")
    await alice.say("second")
    waiting = alice.page.locator("#pending li[data-state=sending]")
    await expect(waiting).to_have_count(2)
    await alice.picture("14-offline")
    await alice.page.reload()
    await expect(waiting).to_have_count(2)
    await bob.say("in between")
    network.is_open = True
    await alice.page.get_by_role("button", name="Try now").click()
    for person in (alice, bob):
        await person.sees("second")
    await expect(alice.page.locator("#pending li")).to_have_count(0)
    assert await alice.texts() == await bob.texts() == ["in between", "first", "second"]


async def test_what_is_not_sent_is_not_dropped_by_logging_out(visit: Any, room_name: str) -> None:
    alice = await visit("alice")
    network = await Network.before(alice)
    await alice.create_room(room_name)
    await network.shut()
    await alice.say("not sent")
    await alice.page.get_by_role("button", name="Log out").click()
    asked = alice.page.get_by_role("dialog")
    await expect(asked).to_contain_text("Messages on their way: 1.")
    await asked.get_by_role("button", name="Stay").click()
    await expect(alice.page.locator("#pending li")).to_have_count(1)
    await alice.page.get_by_role("button", name="Log out").click()
    await asked.get_by_role("button", name="Log out").click()
    await expect(alice.page.get_by_role("tab", name="Log in")).to_be_visible()
    kept = await alice.page.evaluate("JSON.stringify(localStorage)")
    assert "not sent" not in kept


async def test_what_was_stored_before_a_reload_is_not_waited_for(visit: Any, room_name: str) -> None:
    """Its acknowledgement met a page that was gone: sent again it is a duplicate, and stands where it was."""
    alice = await visit("alice")
    await alice.create_room(room_name)
    await alice.say("stored")
    await alice.sees("stored")
    await alice.page.evaluate(
        """async () => {
            const get = (path) => fetch(`/api/v1${path}`).then((answer) => answer.json());
            const me = (await get("/auth/me")).data.id;
            const roomId = (await get("/room")).data[0].id;
            const [{ content, clientMessageId }] = (await get(`/room/${roomId}/messages`)).data.messages;
            const message = { roomId, content, messageType: "text", clientMessageId };
            localStorage.setItem(`chat.outbox.${me}.${clientMessageId}`, JSON.stringify({ at: 1, message }));
        }"""
    )
    await alice.page.reload()
    await alice.is_connected()
    await alice.sees("stored")
    await expect(alice.page.locator("#pending li")).to_have_count(0)
    assert (
        await alice.page.evaluate("Object.keys(localStorage).some((key) => key.includes('outbox'))") is False
    )


async def test_what_cannot_be_sent_any_more_is_not_lost_silently(visit: Any, room_name: str) -> None:
    alice, bob = await visit("alice"), await visit("bob")
    network = await Network.before(bob)
    await alice.create_room(room_name)
    await bob.join_room(room_name)
    await network.shut()
    await expect(bob.page.locator("#state")).to_contain_text("Reconnecting")
    await bob.say("am I still here?")
    await remove(alice.page, room_name, bob.name)
    network.is_open = True
    await bob.page.get_by_role("button", name="Try now").click()
    await bob.is_connected()
    await expect(bob.page.locator("#rooms li", has_text=room_name)).to_have_count(0)
    await expect(bob.page.locator("#notices")).to_contain_text("am I still here?")


async def test_a_refused_message_stays_until_one_decides(visit: Any, room_name: str) -> None:
    alice = await visit("alice")
    await alice.create_room(room_name)
    async with alice.page.expect_response(lambda answer: "/upload/image" in answer.url) as uploaded:
        await alice.page.locator("#file").set_input_files(
            {"name": "gone.png", "mimeType": "image/png", "buffer": ONE_PIXEL}
        )
    media_id = (await (await uploaded.value).json())["data"]["mediaId"]
    await expect(alice.page.locator("#tray")).to_contain_text("ready")
    await alice.page.evaluate("(id) => fetch(`/api/v1/media/${id}`, { method: 'DELETE' })", media_id)
    await alice.say("a picture that is gone")
    refused = alice.page.locator("#pending li[data-state=failed]")
    await expect(refused).to_contain_text("not sent: the image is gone")
    await alice.picture("15-refused")
    await refused.get_by_role("button", name="Discard").click()
    await expect(alice.page.locator("#pending li")).to_have_count(0)
    await alice.say("without it")
    await alice.sees("without it")
    assert await alice.texts() == ["without it"]
    # The browser itself writes to its console that the image is not there.
    assert [complaint for complaint in alice.complaints if "404" not in complaint] == []
    alice.complaints.clear()


async def remove(page: Any, room_name: str, name: str) -> None:
    """Remove a member, as the page of an owner could."""
    await page.evaluate(
        """async ([roomName, name]) => {
            const get = (path) => fetch(`/api/v1${path}`).then((answer) => answer.json());
            const room = (await get("/room")).data.find((found) => found.roomName === roomName);
            const members = (await get(`/room/${room.id}/members`)).data.map((member) => member.userId);
            const user = (await get(`/users?ids=${members}`)).data.find((found) => found.username === name);
            await fetch(`/api/v1/room/${room.id}/members/${user.id}`, { method: "DELETE" });
        }""",
        [room_name, name],
    )


async def test_a_session_that_was_ended_elsewhere(visit: Any) -> None:
    alice = await visit("alice")
    await alice.page.evaluate(
        """async () => {
            const get = (path) => fetch(`/api/v1${path}`).then((answer) => answer.json());
            const [session] = (await get("/auth/sessions")).data;
            // Not waited for: the page may be another one before the answer.
            fetch(`/api/v1/auth/sessions/${session.id}`, { method: "DELETE" });
        }"""
    )
    await expect(alice.page.locator("#login output")).to_have_text("Your session has ended. Log in again.")


async def test_a_page_does_not_become_another_person(visit: Any) -> None:
    """Tabs share the cookie: who slept through a log-out and another log-in is asked to log in."""
    alice = await visit("alice")
    await alice.page.clock.install()
    network = await Network.before(alice)
    await network.shut()
    await expect(alice.page.locator("#state")).to_contain_text("Reconnecting")
    other = await alice.page.context.new_page()
    await other.goto(f"{alice.url}/")
    await other.get_by_role("button", name="Log out").click()
    await other.get_by_role("tab", name="Register").click()
    form = other.locator("#register")
    await form.get_by_label("User name").fill(f"{alice.name}_2")
    await form.get_by_label("Email").fill(f"{alice.name}_2@example.org")
    await form.get_by_label("Password").fill("correct horse 42")
    await form.get_by_role("button", name="Register").click()
    await expect(other.locator("#state")).to_have_text("Connected")
    network.is_open = True
    await alice.page.clock.fast_forward("40:00")
    await alice.page.clock.run_for(30_000)
    await expect(alice.page.locator("#login output")).to_have_text("Your session has ended. Log in again.")


async def test_a_service_that_is_away_at_the_start(visit: Any, room_name: str) -> None:
    alice = await visit("alice")
    await alice.create_room(room_name)
    alice.may_lose_connection = True
    attempts = []

    async def fail_twice(route: Any) -> None:
        attempts.append(route.request.url)
        await (route.abort() if len(attempts) <= FAILURES else route.continue_())

    await alice.page.route("**/api/v1/room?limit=*", fail_twice)
    await alice.page.reload()
    await alice.is_connected()
    await alice.is_in(room_name)
    assert len(attempts) > FAILURES


async def test_an_answer_that_is_older_than_what_happened_since(visit: Any, room_name: str) -> None:
    """The list of rooms is asked for, then a room is made, then the list comes, without it."""
    alice = await visit("alice")
    asked, created = asyncio.Event(), asyncio.Event()

    async def answer_late(route: Any) -> None:
        answer = await route.fetch()
        asked.set()
        await created.wait()
        await route.fulfill(response=answer)

    network = await Network.before(alice)
    await alice.page.route("**/api/v1/room?limit=*", answer_late)
    await network.shut()
    network.is_open = True
    await alice.page.get_by_role("button", name="Try now").click()
    await asyncio.wait_for(asked.wait(), 15)
    await alice.create_room(room_name)
    async with alice.page.expect_response(lambda found: "/api/v1/room?limit=" in found.url):
        created.set()
    await alice.say("still my room")
    await alice.sees("still my room")
    await alice.is_in(room_name)


async def test_a_log_in_renews_itself(visit: Any, room_name: str) -> None:
    """Long after the access token ended the page goes on, and connects again."""
    alice, bob = await visit("alice"), await visit("bob")
    alice.may_lose_connection = True
    await alice.page.clock.install()
    await alice.page.reload()
    await alice.is_connected()
    await alice.create_room(room_name)
    await bob.join_room(room_name)
    for _time in range(2):
        async with alice.page.expect_response(lambda answer: "refreshToken" in answer.url) as renewed:
            # As after the sleep of a laptop: the connection has timed out, and so has the token.
            await alice.page.clock.fast_forward("40:00")
            await alice.page.clock.run_for(5_000)
        assert (await renewed.value).status == 200
        await alice.is_connected()
    await alice.say("still here")
    await bob.sees("still here")
    await alice.page.get_by_role("button", name="People").click()
    await expect(alice.page.locator("#people li")).to_have_count(2)
