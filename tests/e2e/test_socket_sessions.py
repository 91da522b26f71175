"""Who may open a socket, and how it ends with its session."""

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
import pytest
from chat_auth.store import SigningKeyStore
from chat_shared.crypto import MasterKeys
from chat_shared.mongo import Mongo
from chat_shared.testing import ApiClient, Connect, ConnectRefused, NewRoom, NewUser, SocketClient, User
from chat_shared.tokens import ALGORITHM, LEEWAY_SECONDS
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if TYPE_CHECKING:
    from chat_local.stack import Stack

REVOCATION_SECONDS = 1.0


async def refusal(url: str, auth: Any, **options: Any) -> ConnectRefused:
    """Return why a socket with this `auth` payload is not let in."""
    with pytest.raises(ConnectRefused) as refused:
        await SocketClient().connect(url, None, auth=auth, **options)
    return refused.value


async def sign(stack: "Stack", claims: dict[str, Any], **headers: Any) -> str:
    """Return a token signed with the key that auth itself signs with."""
    mongo = Mongo(stack.mongo_url, "chat_auth")
    try:
        [stored] = await SigningKeyStore(mongo).load()
    finally:
        await mongo.stop()
    keys = MasterKeys.parse(stack.secrets["chat_master_keys"])
    raw = keys.unwrap(stored.private_key, b"signing-key:" + stored.key.id.encode())
    own_headers = {"kid": stored.key.id, "typ": "at+jwt", **headers}
    return jwt.encode(claims, Ed25519PrivateKey.from_private_bytes(raw), ALGORITHM, own_headers)


class TestConnect:
    @pytest.mark.parametrize(
        "auth", [{}, {"token": ""}, {"token": None}, {"token": {"$ne": 1}}, {"jwt": "x"}, ["x"], "x"]
    )
    async def test_no_usable_auth(self, chat_url: str, auth: Any) -> None:
        assert (await refusal(chat_url, auth)).details == {
            "message": "A valid access token is needed",
            "data": {"code": "unauthenticated", "retryable": False},
        }

    @pytest.mark.parametrize("transports", [("websocket",), ("polling",), None])
    async def test_on_every_transport(
        self, chat_url: str, alice: User, transports: tuple[str, ...] | None
    ) -> None:
        assert (await refusal(chat_url, {"token": "x.y.z"}, transports=transports)).code == "unauthenticated"
        socket = SocketClient()
        await socket.connect(chat_url, alice.access_token, transports=transports)
        expected = "polling" if transports == ("polling",) else "websocket"
        assert socket.transport == expected
        await socket.disconnect()

    async def test_altered_token(self, chat_url: str, alice: User) -> None:
        header, payload, signature = alice.access_token.split(".")
        for token in (
            f"{header}.{payload}.{signature[:-4]}AAAA",
            f"{header}.{payload}.",
            f"{header}.{payload[:-2]}.{signature}",
            alice.refresh_token,
            "x" * 5000,
        ):
            assert (await refusal(chat_url, {"token": token})).code == "unauthenticated"

    async def test_token_of_another_algorithm(self, chat_url: str, alice: User) -> None:
        claims = jwt.decode(alice.access_token, options={"verify_signature": False})
        headers = {**jwt.get_unverified_header(alice.access_token)}
        headers.pop("alg")
        for algorithm, key in (("none", ""), ("HS256", "x" * 32)):
            token = jwt.encode(claims, key, algorithm, headers)
            assert (await refusal(chat_url, {"token": token})).code == "unauthenticated"

    async def test_expired_token(self, own_stack: "Stack", connect: Connect, new_user: NewUser) -> None:
        """The signature is right, and one second of life decides."""
        user = await new_user()
        claims = jwt.decode(user.access_token, options={"verify_signature": False})
        now = int(time.time())
        expired = await sign(own_stack, {**claims, "exp": now - LEEWAY_SECONDS - 1})
        assert (await refusal(own_stack.url, {"token": expired})).code == "unauthenticated"
        user.access_token = await sign(own_stack, {**claims, "exp": now + 60})
        await connect(user)

    async def test_token_of_an_ended_session(
        self, api: ApiClient, gateway_urls: list[str], new_user: NewUser
    ) -> None:
        user = await new_user()
        await api.call("POST", "/auth/logout", user)
        for url in gateway_urls:
            assert (await refusal(url, {"token": user.access_token})).code == "unauthenticated"

    async def test_too_many_sockets_of_one_user(
        self, own_stack: "Stack", connect: Connect, new_user: NewUser
    ) -> None:
        """Per gateway, so this needs to know which one it meets."""
        user = await new_user()
        sockets = [await connect(user, gateway=0) for _ in range(20)]
        with pytest.raises(ConnectRefused) as refused:
            await connect(user, gateway=0)
        assert (refused.value.code, refused.value.details["data"]["retryable"]) == ("too_many_sockets", True)
        assert all(socket.connected for socket in sockets)


class WaitingPoll:
    """A polling session whose poll waits for the server to have something to say."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = f"{url}/socket.io/?EIO=4&transport=polling"

    async def open(self, token: str) -> asyncio.Task[str]:
        """Log in and return the answer to come."""
        self._url += "&sid=" + json.loads((await self._get())[1:])["sid"]
        await self.post("40" + json.dumps({"token": token}))
        assert (await self._get()).startswith("40")
        waiting = asyncio.create_task(self._get())
        await asyncio.sleep(0)  # the request goes out
        return waiting

    async def post(self, payload: str) -> None:
        """Send packets."""
        async with self._http.post(self._url, data=payload) as answer:
            assert answer.status == 200

    async def _get(self) -> str:
        async with self._http.get(self._url) as answer:
            return await answer.text()


class TestPollingEnds:
    """A poll that waits is answered when its session ends, not after the heartbeat's 35 seconds."""

    async def test_when_the_client_says_goodbye(self, chat_url: str, alice: User) -> None:
        async with aiohttp.ClientSession() as http:
            session = WaitingPoll(http, chat_url)
            waiting = await session.open(alice.access_token)
            await session.post("41\x1e1")
            await asyncio.wait_for(waiting, 3)

    async def test_when_the_gateway_stops(self, own_stack: "Stack", alice: User) -> None:
        gateway = own_stack.instances("gateway-ws")[1]
        async with aiohttp.ClientSession() as http:
            waiting = await WaitingPoll(http, gateway.url).open(alice.access_token)
            restart = asyncio.create_task(gateway.restart())
            await asyncio.wait_for(waiting, 3)
            await restart
        await gateway.wait_ready()


class TestSessionEnd:
    async def assert_ended(self, socket: SocketClient, reason: str) -> None:
        """Check that the socket is told why it ends, and closed, within a second."""
        ended = await socket.wait_for("session-ended", timeout=REVOCATION_SECONDS)
        assert ended == {"reason": reason, "reconnect": False}
        await socket.wait_disconnected(REVOCATION_SECONDS)

    async def test_logout_closes_this_sessions_sockets_on_every_gateway(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, new_user: NewUser, alice: User
    ) -> None:
        user = await new_user()
        other_session = await api.another_session(user)
        room_id = (await new_room(alice, user))["id"]
        ended = [await connect(user, gateway=0), await connect(user, gateway=1)]
        lives, writer = await connect(other_session, gateway=1), await connect(alice, gateway=0)
        await api.call("POST", "/auth/logout", user)
        for socket in ended:
            await self.assert_ended(socket, "logout")

        await writer.done("send_message", {"roomId": room_id, "content": "for those who are left"})
        await lives.wait_for("new-message")
        for socket in ended:
            assert socket.events("new-message") == []

    async def test_revoked_session(self, api: ApiClient, connect: Connect, new_user: NewUser) -> None:
        user = await new_user()
        lost = await api.another_session(user)
        stays, ended = await connect(user, gateway=0), await connect(lost, gateway=1)
        sessions = await api.data("GET", "/auth/sessions", lost)
        lost_id = next(session["id"] for session in sessions if session["current"])
        await api.call("DELETE", f"/auth/sessions/{lost_id}", user)
        await self.assert_ended(ended, "revoked")
        assert stays.connected

    async def test_password_change(self, api: ApiClient, connect: Connect, new_user: NewUser) -> None:
        user = await new_user()
        other = await api.another_session(user)
        stays, ended = await connect(user, gateway=0), await connect(other, gateway=1)
        body = {"currentPassword": user.password, "newPassword": "another horse 43"}
        await api.call("POST", "/auth/password", user, json=body)
        await self.assert_ended(ended, "password_changed")
        assert stays.connected

    async def test_reused_refresh_token(self, api: ApiClient, connect: Connect, new_user: NewUser) -> None:
        user = await new_user()
        socket = await connect(user, gateway=1)
        token = user.refresh_token
        for _ in range(2):
            data = await api.data("POST", "/auth/refreshToken", json={"refreshToken": token})
            token = data["refreshToken"]
        stolen = {"refreshToken": user.refresh_token}
        await api.refused("POST", "/auth/refreshToken", status=401, code="invalid_refresh_token", json=stolen)
        await self.assert_ended(socket, "refresh_reuse")

    async def test_deleted_account(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, new_user: NewUser, alice: User
    ) -> None:
        user = await new_user()
        room_id = (await new_room(alice, user))["id"]
        socket, witness = await connect(user, gateway=1), await connect(alice, gateway=0)
        await api.call("DELETE", "/auth/me", user, json={"password": user.password})
        await self.assert_ended(socket, "account_deleted")
        assert await witness.wait_for("user-left") == {"userId": user.id, "roomId": room_id}

    async def test_a_socket_outlives_its_access_token(
        self, own_stack: "Stack", connect: Connect, new_room: NewRoom, new_user: NewUser
    ) -> None:
        """A token that is over within the leeway lets in; what counts from then on is the session."""
        user = await new_user()
        room_id = (await new_room(user))["id"]
        claims = jwt.decode(user.access_token, options={"verify_signature": False})
        user.access_token = await sign(own_stack, {**claims, "exp": int(time.time()) - LEEWAY_SECONDS + 2})
        socket = await connect(user)
        await socket.done("send_message", {"roomId": room_id, "content": "still here"})
