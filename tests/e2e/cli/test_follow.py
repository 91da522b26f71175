"""`chat say --follow`: a room on the screen, whatever breaks."""

from typing import TYPE_CHECKING, Any

import pytest
from chat_shared.testing import ApiClient, NewRoom, NewUser, User, eventually

from .programs import Chat, Terminal, no_gateways

if TYPE_CHECKING:
    from chat_local.stack import Stack


class TestFollow:
    async def test_history_live_and_typed(
        self, chat: Chat, api: ApiClient, alice: User, bob: User, new_room: NewRoom
    ) -> None:
        room, other = await new_room(alice, bob), await new_room(alice, bob)
        for number in range(4):
            await self.send(api, bob, room, f"early {number}")
        await self.send(api, bob, other, "elsewhere")
        follow = ("say", room["id"], "--follow", "--history=2")
        async with chat.running(*follow, CHAT_TOKEN=alice.access_token) as running:
            await running.shows(f"{bob.username}: early 3")
            await self.send(api, bob, other, "elsewhere")
            await self.send(api, bob, room, "one\ntwo \x1b[2J")
            await running.shows("two ?[2J")
            running.type("typed by alice")
            await running.shows(f"{alice.username}: typed by alice")
            assert await running.end() == 0
        assert [line.partition("  ")[2].strip() for line in running.lines] == [
            f"{bob.username}: early 2",
            f"{bob.username}: early 3",
            f"{bob.username}: one",
            "two ?[2J",
            f"{alice.username}: typed by alice",
        ]
        assert "Traceback" not in "\n".join(running.notes)

    async def test_through_the_loss_of_all_gateways(
        self, own_stack: "Stack", chat: Chat, api: ApiClient, alice: User, bob: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice, bob)
        async with chat.running("say", room["id"], "--follow", CHAT_TOKEN=alice.access_token) as running:
            await self.send(api, bob, room, "before")
            await running.shows("before")
            async with no_gateways(own_stack):
                await running.notes_that("No connection")
                running.type("typed meanwhile")
                await self.send(api, bob, room, "missed")
            await running.shows("typed meanwhile", 60)
            # A gateway that is not ready yet may take a connection and lose it: there can be more of these.
            await eventually(lambda: "Connected again" in running.notes[-1], 40, f"{running.notes}")
        assert [line.rpartition(": ")[2] for line in running.lines] == ["before", "missed", "typed meanwhile"]
        first, lost, *_ = running.notes
        assert first == f"{room['roomName']}: what you type is sent, Ctrl-C ends it"
        assert lost == "No connection; what you type waits"

    async def test_who_is_signed_out_is_told(
        self, chat: Chat, api: ApiClient, new_user: NewUser, new_room: NewRoom
    ) -> None:
        user = await new_user()
        room = await new_room(user)
        await self.send(api, user, room, "here")
        async with chat.running("say", room["id"], "--follow", CHAT_TOKEN=user.access_token) as running:
            await running.shows("here")
            await api.call("POST", "/auth/logout", user)
            await running.notes_that("The installation ended the connection")
            assert await running.ended() == 1

    async def send(self, api: ApiClient, user: User, room: dict[str, Any], content: str) -> None:
        await api.call("POST", f"/room/{room['id']}/messages", user, status=201, json={"content": content})


class TestAtATerminal:
    @pytest.mark.parametrize("way_out", ["\x03", "\x04"])
    async def test_the_room_is_shown(
        self, chat_url: str, alice: User, new_room: NewRoom, way_out: str
    ) -> None:
        room = await new_room(alice)
        command = ("say", room["id"], "--as", alice.username)
        async with Terminal(*command, CHAT_URL=chat_url) as terminal:
            await terminal.shows(f"Password of {alice.username}: ")
            terminal.type(f"{alice.password}\n")
            await terminal.shows("what you type is sent")
            terminal.type("at the terminal\n")
            await terminal.shows(f"{alice.username}: at the terminal")
            terminal.type(way_out)
            assert await terminal.ended() == 0
        assert alice.password not in terminal.screen
        assert "Traceback" not in terminal.screen
