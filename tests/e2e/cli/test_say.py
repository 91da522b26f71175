"""`chat say`: one message, or each line of a pipe."""

import asyncio
import secrets
from typing import TYPE_CHECKING

from chat_shared.testing import ApiClient, NewRoom, NewUser, User

from .programs import Chat, contents, no_gateways

if TYPE_CHECKING:
    from chat_local.stack import Stack


class TestSayOnce:
    async def test_by_id_and_by_name(
        self, chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice, roomType="private")
        as_alice = ("--as", alice.username)
        sent = await chat.run("say", room["id"], "by id", *as_alice, typed=alice.password)
        assert (sent.done(), sent.err) == ("seq 1", "")
        sent = await chat.run("say", room["roomName"], "by name", CHAT_TOKEN=alice.access_token)
        assert sent.done() == "seq 2"
        assert await contents(api, alice, room["id"]) == ["by id", "by name"]

    async def test_a_public_room_is_joined(
        self, chat: Chat, alice: User, new_user: NewUser, new_room: NewRoom
    ) -> None:
        room, bob = await new_room(alice), await new_user()
        sent = await chat.run("say", room["roomName"], "hi", CHAT_TOKEN=bob.access_token)
        assert (sent.done(), sent.err.strip()) == ("seq 1", f"Joined {room['roomName']}")

    async def test_of_two_rooms_the_id_is_wanted(self, chat: Chat, alice: User, new_room: NewRoom) -> None:
        name = f"twin {secrets.token_hex(4)}"
        rooms = [await new_room(alice, roomName=name) for _ in range(2)]
        why = (await chat.run("say", name, "hi", CHAT_TOKEN=alice.access_token)).failed()
        assert all(room["id"] in why for room in rooms)

    async def test_where_nobody_may_know_of_the_room(
        self, chat: Chat, alice: User, bob: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice, roomType="private")
        for wanted in (room["id"], room["roomName"], "0" * 24):
            why = (await chat.run("say", wanted, "hi", CHAT_TOKEN=bob.access_token)).failed()
            assert "No room of yours and no public room" in why

    async def test_each_line_of_a_pipe(
        self, chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        typed = f"{alice.password}\none\n\ntwo"
        sent = await chat.run("say", room["id"], "--as", alice.username, typed=typed)
        assert sent.done().splitlines() == ["seq 1", "seq 2"]
        assert await contents(api, alice, room["id"]) == ["one", "two"]

    async def test_a_pipe_of_which_a_line_is_refused(
        self, chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        typed = "\n".join(["one", "x" * 50_000, *["more"] * 500])
        sent = await chat.run("say", room["id"], typed=typed, CHAT_TOKEN=alice.access_token)
        assert (sent.out, sent.failed()) == ("seq 1\n", "Not sent: validation_failed")
        assert await contents(api, alice, room["id"]) == ["one"]

    async def test_the_same_id_is_one_message(
        self, chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        said = ("say", room["id"], "once", "--id=mine")
        for expected in ("seq 1", "seq 1 (was there already)"):
            assert (await chat.run(*said, CHAT_TOKEN=alice.access_token)).done() == expected
        other = await chat.run("say", room["id"], "else", "--id=mine", CHAT_TOKEN=alice.access_token)
        assert other.failed() == "Not sent: idempotency_conflict"
        assert await contents(api, alice, room["id"]) == ["once"]

    async def test_its_session_ends_with_it(self, chat: Chat, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        await chat.run("say", "0" * 24, "hi", "--as", user.username, typed=user.password)
        assert len(await api.data("GET", "/auth/sessions", user)) == 1

    async def test_while_no_gateway_is_there(
        self, own_stack: "Stack", chat: Chat, api: ApiClient, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        async with no_gateways(own_stack):
            said = ("say", room["id"], "patience", "--id=gone", "--timeout=2")
            why = (await chat.run(*said, CHAT_TOKEN=alice.access_token)).failed()
            assert "No acknowledgement within 2 s" in why
            assert why.endswith("--id gone")
            waiting = asyncio.create_task(
                chat.run("say", room["id"], "patience", "--id=gone", CHAT_TOKEN=alice.access_token)
            )
            done, _ = await asyncio.wait({waiting}, timeout=1)
            assert not done
        assert (await waiting).done() == "seq 1"
        assert await contents(api, alice, room["id"]) == ["patience"]
