"""`chat token` and `chat user`, and the session that a command has."""

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from chat_local.client.api import Api
from chat_local.client.errors import Refused
from chat_local.client.session import log_in
from chat_local.client.talking import Talk, TurnedAway
from chat_shared.testing import ApiClient, NewRoom, NewUser, User

from .programs import SECONDS, Chat

if TYPE_CHECKING:
    from chat_local.stack import Stack

PASSWORD = "another horse 43 battery"


class TestToken:
    async def test_works_with_rest(self, chat: Chat, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        token = (await chat.run("token", user.username, typed=user.password)).done()
        assert (await api.data("GET", "/auth/me", User(user.id, "", "", "", token)))["id"] == user.id

    async def test_as_json_by_address(self, chat: Chat, new_user: NewUser) -> None:
        user = await new_user()
        told = json.loads((await chat.run("token", user.email, "--json", typed=user.password)).done())
        assert set(told) == {"accessToken", "expiresIn", "expiresAt", "userId", "username"}
        assert (told["userId"], told["expiresIn"]) == (user.id, 900)

    async def test_wrong_password(self, chat: Chat, alice: User) -> None:
        why = (await chat.run("token", alice.username, typed="not this one")).failed()
        assert "(wrong_credentials)" in why


class TestSession:
    async def test_a_token_near_its_end_is_exchanged(self, chat_url: str, alice: User) -> None:
        async with Api(chat_url) as api:
            session = await log_in(api, alice.username, alice.password)
            first = await session.token()
            assert await session.token() == first
            session.expires_at = time.time() + 5
            assert await session.token() != first
            assert (await session.call("GET", "/api/v1/auth/me")).data["id"] == alice.id
            await session.end()
            with pytest.raises(Refused, match="unauthenticated"):
                await session.call("GET", "/api/v1/auth/me")

    async def test_who_cannot_refresh_does_not_come_back(
        self, chat_url: str, alice: User, new_room: NewRoom
    ) -> None:
        room = await new_room(alice)
        async with Api(chat_url) as api:
            session = await log_in(api, alice.username, alice.password)
            await session.end()
            session.expires_at = 0
            talk = Talk(session, room["id"])
            async with talk.connected():
                with pytest.raises(TurnedAway, match="invalid_refresh_token"):
                    await asyncio.wait_for(talk.send("never", "never"), SECONDS)


class TestUser:
    async def test_create_show_and_delete(self, own_stack: "Stack", operator: Any, api: ApiClient) -> None:
        name = f"carol_{secrets.token_hex(4)}"
        fields = (f"--email={name}@example.org", "--firstname=Carol")
        made = await operator("create", name, *fields, typed=PASSWORD)
        user_id = made.done().rpartition(" ")[2]
        log = (own_stack.logs_dir / "auth-1.log").read_text().splitlines()
        [noted] = [line for line in log if user_id in line and '"audit"' in line]
        assert json.loads(noted)["by"] == "operator"
        user = await api.login(User(user_id, name, "", PASSWORD))
        shown = (await operator("show", f"{name}@example.org")).done().splitlines()
        facts = [
            f"id        {user_id}",
            f"username  {name}",
            "name      Carol",
            "sessions  1",
            "online    no",
        ]
        assert [fact for fact in [*facts, "name      Carol"] if fact not in shown] == []

        asked = await operator("delete", name, typed="n\n")
        assert asked.code == 1
        assert (await operator("delete", name, typed="y\n")).code == 0
        assert (await api.send("GET", "/auth/me", user)).status_code == 401
        assert "(user_not_found)" in (await operator("show", name)).failed()

    async def test_passwords_are_not_shown(self, operator: Any) -> None:
        name = f"carol_{secrets.token_hex(4)}"
        made = await operator("create", name, f"--email={name}@example.org", typed=PASSWORD)
        assert PASSWORD not in made.out + made.err
        weak = await operator("password", name, typed="password1")
        assert "newPassword" in weak.failed()
        assert "password1" not in weak.out + weak.err

    async def test_sign_out_closes_sockets(self, operator: Any, new_user: NewUser, connect: Any) -> None:
        user = await new_user()
        socket = await connect(user)
        assert json.loads((await operator("show", user.username, "--json")).done())["isOnline"] is True
        assert (await operator("sign-out", user.username)).done() == (
            f"Ended 1 sessions of {user.username} ({user.id}, {user.email})"
        )
        await socket.wait_disconnected()

    async def test_a_forgotten_password(self, operator: Any, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        told = (await operator("password", user.id, typed=PASSWORD)).done()
        assert told == f"{user.username} ({user.id}, {user.email}) has a new password; ended 1 sessions"
        user.password = PASSWORD
        await api.login(user)

    async def test_whose_username_is_the_id_of_another(self, operator: Any, new_user: NewUser) -> None:
        user = await new_user()
        await new_user(user.id)
        for command in ("show", "sign-out", "password", "delete"):
            typed = PASSWORD if command == "password" else "y\n"
            why = (await operator(command, user.id, typed=typed)).failed()
            assert "(ambiguous_name)" in why
            assert user.email in why
        assert "sessions  1" in (await operator("show", user.email)).done()

    async def test_list(self, operator: Any, new_user: NewUser) -> None:
        first, second = await new_user(), await new_user()
        listed = await operator("list", f"--after={first.id}", "--limit=1")
        assert listed.done().splitlines()[1].split()[:2] == [second.id, second.username]
        assert f"chat user list --after {second.id}" in listed.err

    async def test_without_the_service_token(self, own_stack: "Stack", chat: Chat) -> None:
        settings = {"CHAT_AUTH_URLS": own_stack.process("auth-1").url, "CHAT_SERVICE_TOKEN": "x" * 40}
        assert "(unauthenticated)" in (await chat.run("user", "show", "alice", **settings)).failed()
