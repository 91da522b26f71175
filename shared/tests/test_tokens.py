"""Access tokens: ours and nobody else's (RFC 8725)."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

import jwt
import pytest
from chat_shared import tokens
from chat_shared.errors import Unauthenticated, Unavailable
from chat_shared.request_context import seconds_left, set_deadline
from chat_shared.tokens import KeySet, TokenVerifier
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm

KEY = Ed25519PrivateKey.generate()
CLAIMS: dict[str, Any] = {"iss": "chat-auth", "aud": "chat", "sub": "1" * 24, "sid": "session"}


def jwk(key: Ed25519PrivateKey, key_id: str) -> dict[str, Any]:
    return {**json.loads(OKPAlgorithm.to_jwk(key.public_key())), "kid": key_id, "alg": "EdDSA", "use": "sig"}


def token(
    headers: dict[str, Any] | None = None, key: Any = KEY, algorithm: str = "EdDSA", **claims: Any
) -> str:
    now = int(time.time())
    body = {"iat": now, "exp": now + 60, **CLAIMS, **claims}
    body = {name: value for name, value in body.items() if value is not None}
    head = {"kid": "k1", "typ": "at+jwt", **(headers or {})}
    return jwt.encode(
        body, key, algorithm, headers={name: value for name, value in head.items() if value is not None}
    )


class Auth:
    """The JWKS endpoint, counting how often it is asked."""

    def __init__(self) -> None:
        self.keys = [jwk(KEY, "k1")]
        self.fetches = 0
        self.away = False

    async def fetch(self) -> bytes:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable
        return json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
def verifier(auth: Auth) -> TokenVerifier:
    return TokenVerifier(KeySet(auth.fetch), issuer="chat-auth", audience="chat")


async def test_a_valid_token_says_who(verifier: TokenVerifier) -> None:
    identity = await verifier.verify(token())
    assert (identity.user_id, identity.session_id) == ("1" * 24, "session")


def _hs256_with_the_public_key() -> str:
    public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return token(key=base64.b64encode(public).decode(), algorithm="HS256")


def _altered() -> str:
    head, body, signature = token().split(".")
    return ".".join((head, body[:-2] + ("AA" if body[-2:] != "AA" else "BB"), signature))


FORGERIES: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "garbage": lambda: "a.b.c",
    "none": lambda: token(key=None, algorithm="none"),
    "hs256 with the public key": _hs256_with_the_public_key,
    "rs256": lambda: token(key=rsa.generate_private_key(65537, 2048), algorithm="RS256"),
    "another key": lambda: token(key=Ed25519PrivateKey.generate()),
    "altered": _altered,
    "unknown crit": lambda: token({"crit": ["x"], "x": 1}),
    "no kid": lambda: token({"kid": None}),
    "kid is an operator": lambda: token({"kid": '{"$ne": null}'}),
    "kid is huge": lambda: token({"kid": "k" * 10_000}),
    "refresh type": lambda: token({"typ": "rt+jwt"}),
    "no type": lambda: token({"typ": "JWT"}),
    "other issuer": lambda: token(iss="somebody"),
    "other audience": lambda: token(aud="another-service"),
    "expired": lambda: token(exp=int(time.time()) - tokens.LEEWAY_SECONDS - 1),
    "no expiry": lambda: token(exp=None),
    "no subject": lambda: token(sub=None),
    "no session": lambda: token(sid=None),
    "subject is a list": lambda: token(sub=["1"]),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
async def test_any_other_token_is_refused(verifier: TokenVerifier, forge: Callable[[], str]) -> None:
    with pytest.raises(Unauthenticated):
        await verifier.verify(forge())


async def test_embedded_keys_are_ignored(verifier: TokenVerifier, auth: Auth) -> None:
    other = Ed25519PrivateKey.generate()
    forged = token({"jwk": jwk(other, "k1"), "jku": "http://127.0.0.1:9/keys"}, key=other)
    with pytest.raises(Unauthenticated):
        await verifier.verify(forged)
    assert auth.fetches == 1


async def test_a_flood_of_unknown_keys_asks_auth_once(verifier: TokenVerifier, auth: Auth) -> None:
    await verifier.verify(token())
    for number in range(200):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token({"kid": f"unknown-{number}"}))
    assert auth.fetches == 1


async def test_tokens_that_come_while_the_first_keys_are_fetched_wait_for_them(
    verifier: TokenVerifier, auth: Auth
) -> None:
    identities = await asyncio.gather(*(verifier.verify(token(sub=f"{n:024}")) for n in range(20)))
    assert [identity.user_id for identity in identities] == [f"{n:024}" for n in range(20)]
    assert auth.fetches == 1


async def test_all_who_wait_for_an_absent_auth_are_told_so(verifier: TokenVerifier, auth: Auth) -> None:
    auth.away = True
    outcomes = await asyncio.gather(*(verifier.verify(token()) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert auth.fetches == 1


async def test_a_new_key_is_found(
    verifier: TokenVerifier, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verifier.verify(token())
    fresh = Ed25519PrivateKey.generate()
    auth.keys.append(jwk(fresh, "k2"))
    monkeypatch.setattr(tokens, "REFETCH_SECONDS", 0)
    assert (await verifier.verify(token({"kid": "k2"}, key=fresh))).user_id == "1" * 24


async def test_known_keys_outlive_an_absent_auth(
    verifier: TokenVerifier, auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verifier.verify(token())
    auth.away = True
    monkeypatch.setattr(tokens, "REFRESH_SECONDS", -1)
    monkeypatch.setattr(tokens, "REFETCH_SECONDS", 0)
    await verifier.verify(token())


async def test_without_any_key_an_absent_auth_is_retryable(verifier: TokenVerifier, auth: Auth) -> None:
    auth.away = True
    with pytest.raises(Unavailable):
        await verifier.verify(token())
    auth.away = False
    await verifier.verify(token())


async def test_a_callers_deadline_does_not_cut_the_fetch_for_all(auth: Auth) -> None:
    async def fetch() -> bytes:
        seconds_left(2)  # as every call to another service does
        return await auth.fetch()

    set_deadline("0")  # what anybody may claim in a header
    try:
        assert (await KeySet(fetch).key("k1")).key_id == "k1"
    finally:
        set_deadline(None)


class Decoding:
    """Counts how often a signature is checked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        decode = jwt.decode

        def counted(*args: Any, **options: Any) -> Any:
            self.count += 1
            return decode(*args, **options)

        monkeypatch.setattr(jwt, "decode", counted)


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> Decoding:
    return Decoding(monkeypatch)


async def test_a_signature_is_checked_once(verifier: TokenVerifier, decoding: Decoding) -> None:
    text = token()
    assert await verifier.verify(text) == await verifier.verify(text)
    assert decoding.count == 1


async def test_a_token_that_was_valid_expires(
    verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = token()
    await verifier.verify(text)
    later = 60 + tokens.LEEWAY_SECONDS + 1
    now = time.time() + later

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return cls.fromtimestamp(now, tz)

    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr("jwt.api_jwt.datetime", Later)
    with pytest.raises(Unauthenticated):
        await verifier.verify(text)


async def test_a_token_that_was_valid_ends_with_its_key(
    auth: Auth, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = token()
    await verifier.verify(text)
    auth.keys = [jwk(Ed25519PrivateKey.generate(), "k1")]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + tokens.REFRESH_SECONDS + 1)
    with pytest.raises(Unauthenticated):
        await verifier.verify(text)


async def test_what_is_refused_is_not_remembered(verifier: TokenVerifier, decoding: Decoding) -> None:
    text = token(exp=int(time.time()) - 100)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await verifier.verify(text)
    assert decoding.count == 2


async def test_the_memory_for_tokens_is_bounded(
    auth: Auth, decoding: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_VERIFIED", 2)
    verifier = TokenVerifier(KeySet(auth.fetch), issuer="chat-auth", audience="chat")
    first, second, third = (token(sid=f"session-{number}") for number in range(3))
    for text in (first, second, first, third, first, second):
        await verifier.verify(text)
    assert decoding.count == 4, "the one that was not seen for longest goes"
