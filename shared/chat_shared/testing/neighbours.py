"""The other services as one of them sees them, so that it can be tested alone.

They are small HTTP servers that answer with the same contracts: auth with public keys, accounts and sessions,
messaging with the heads of rooms. Access tokens are signed here as auth signs them.
"""

import time
from types import TracebackType
from typing import Any, Self

import jwt
from aiohttp import web
from bson import ObjectId
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from pydantic import BaseModel

from chat_shared.contracts.internal import Heads, HeadsQuery, SessionsCheck, SessionsChecked
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.ids import uuid7
from chat_shared.testing.api_client import User
from chat_shared.tokens import ALGORITHM, TOKEN_TYPE

KEY_ID = "test-key"


class Neighbours:
    """Auth and messaging, as far as they are asked.

    Attributes:
        ended_sessions: the ids of sessions that auth calls ended.
        heads: room id -> what messaging says is its highest `seq`.
    """

    def __init__(self, *, issuer: str = "chat-auth", audience: str = "chat") -> None:
        self.ended_sessions: set[str] = set()
        self.heads: dict[str, int] = {}
        self._accounts: set[str] = set()
        self._claims = {"iss": issuer, "aud": audience}
        self._key = Ed25519PrivateKey.generate()
        self._runners: dict[str, web.AppRunner] = {}
        self._ports = {"auth": 0, "messaging": 0}

    async def __aenter__(self) -> Self:
        for name in self._ports:
            await self.come_back(name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in tuple(self._runners):
            await self.go_away(name)

    def url(self, name: str) -> str:
        """Return the base URL of `auth` or `messaging`."""
        return f"http://127.0.0.1:{self._ports[name]}"

    async def go_away(self, name: str) -> None:
        """Let connections to `auth` or `messaging` be refused from now on."""
        await self._runners.pop(name).cleanup()

    async def come_back(self, name: str) -> None:
        """Serve again, at the same address."""
        app = web.Application()
        app.add_routes(self._auth_routes() if name == "auth" else self._messaging_routes())
        runner = self._runners[name] = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._ports[name], reuse_address=True).start()
        self._ports[name] = runner.addresses[0][1]

    def new_user(self, user_id: str | None = None) -> User:
        """Return a new account with a session of its own."""
        user_id = user_id or str(ObjectId())
        self._accounts.add(user_id)
        return User(user_id, f"user_{user_id}", f"{user_id}@example.org", "", self.access_token(user_id))

    def access_token(self, user_id: str, session_id: str | None = None, **claims: Any) -> str:
        """Return a token that lives for ten minutes; `claims` go over the usual ones."""
        now = int(time.time())
        usual = {"sub": user_id, "sid": session_id or uuid7(), "iat": now, "exp": now + 600}
        headers = {"kid": KEY_ID, "typ": TOKEN_TYPE}
        return jwt.encode({**self._claims, **usual, **claims}, self._key, ALGORITHM, headers)

    def _auth_routes(self) -> list[web.RouteDef]:
        return [
            web.get("/.well-known/jwks.json", self._jwks),
            web.get("/internal/v1/users/{user_id}", self._find_user),
            web.post("/internal/v1/sessions/check", self._check_sessions),
        ]

    def _messaging_routes(self) -> list[web.RouteDef]:
        return [web.post("/internal/v1/heads", self._tell_heads)]

    async def _jwks(self, _request: web.Request) -> web.Response:
        key = OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return web.json_response({"keys": [{**key, "kid": KEY_ID, "alg": ALGORITHM, "use": "sig"}]})

    async def _find_user(self, request: web.Request) -> web.Response:
        await _internal_body(request)
        return web.Response(status=204 if request.match_info["user_id"] in self._accounts else 404)

    async def _check_sessions(self, request: web.Request) -> web.Response:
        question = SessionsCheck.model_validate_json(await _internal_body(request))
        return _answer(SessionsChecked(ended=sorted(self.ended_sessions & set(question.session_ids))))

    async def _tell_heads(self, request: web.Request) -> web.Response:
        question = HeadsQuery.model_validate_json(await _internal_body(request))
        return _answer(Heads(heads={room_id: self.heads.get(room_id, 0) for room_id in question.room_ids}))


async def _internal_body(request: web.Request) -> bytes:
    if not request.headers.get(SERVICE_TOKEN_HEADER):
        raise web.HTTPUnauthorized
    return await request.read()


def _answer(body: BaseModel) -> web.Response:
    return web.Response(text=body.model_dump_json(), content_type="application/json")
