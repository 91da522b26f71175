"""Forged and foreign access tokens against a protected route (RFC 8725)."""

import base64
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from chat_auth.service.signing_keys import KeyPolicy, KeyRing
from chat_auth.store import SigningKeyStore
from chat_shared.crypto import MasterKeys
from chat_shared.mongo import Mongo
from chat_shared.testing import ApiClient, User
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Sign = Callable[..., str]


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@pytest.fixture
async def true_key(stack: Any) -> tuple[str, Ed25519PrivateKey]:
    """The key that auth signs with, taken from its store with the master key."""
    mongo = Mongo(stack.mongo_url, "chat_auth")
    ring = KeyRing(
        SigningKeyStore(mongo),
        MasterKeys.parse(stack.secrets["chat_master_keys"]),
        KeyPolicy(timedelta(days=30), timedelta(minutes=15)),
    )
    await ring.renew()
    key_id = jwt.get_unverified_header(ring.sign({}))["kid"]
    private_key = ring._private_keys[key_id]
    await mongo.stop()
    return key_id, private_key


@pytest.fixture
def forge(ada: User, true_key: tuple[str, Ed25519PrivateKey]) -> Sign:
    """Signs a token like ada's with the true key; keywords change it, None leaves a part out."""
    claims = jwt.decode(ada.access_token, options={"verify_signature": False})
    true_id, private_key = true_key

    def sign(*, key: Any = private_key, algorithm: str = "EdDSA", headers: Any = None, **changes: Any) -> str:
        head = without_none({"kid": true_id, "typ": "at+jwt", **(headers or {})})
        return jwt.encode(without_none({**claims, **changes}), key, algorithm, headers=head)

    return sign


async def status_of(auth: ApiClient, token: str) -> int:
    response = await auth.send("GET", "/auth/me", headers={"authorization": f"Bearer {token}"})
    return response.status_code


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


async def test_the_forger_of_these_tests_could_sign_a_good_one(auth: ApiClient, forge: Sign) -> None:
    assert await status_of(auth, forge()) == 200


class TestAlgorithm:
    async def test_none(self, auth: ApiClient, ada: User) -> None:
        body = ada.access_token.split(".")[1]
        kid = jwt.get_unverified_header(ada.access_token)["kid"]
        for name in ("none", "None", "NONE"):
            header = json.dumps({"alg": name, "typ": "at+jwt", "kid": kid}).encode()
            token = f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{body}."
            assert await status_of(auth, token) == 401

    async def test_public_key_as_shared_secret(
        self, auth: ApiClient, forge: Sign, true_key: tuple[str, Ed25519PrivateKey]
    ) -> None:
        public_key = true_key[1].public_key()
        # PyJWT refuses to sign with a PEM, so the raw bytes and a PEM without its armour stand in.
        for secret in (public_key.public_bytes_raw(), public_pem(public_key).splitlines()[1]):
            assert await status_of(auth, forge(key=secret, algorithm="HS256")) == 401

    async def test_rsa(self, auth: ApiClient, forge: Sign) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        assert await status_of(auth, forge(key=key, algorithm="RS256")) == 401

    async def test_other_key_of_the_right_kind(self, auth: ApiClient, forge: Sign) -> None:
        assert await status_of(auth, forge(key=Ed25519PrivateKey.generate())) == 401

    async def test_changed_body(self, auth: ApiClient, ada: User) -> None:
        head, _, signature = ada.access_token.split(".")
        claims = jwt.decode(ada.access_token, options={"verify_signature": False})
        body = json.dumps({**claims, "sub": "0" * 24}).encode()
        forged = f"{head}.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}.{signature}"
        assert await status_of(auth, forged) == 401


class TestHeader:
    @pytest.mark.parametrize(
        "headers",
        [
            {"crit": ["x"], "x": 1},
            {"kid": "../../dev/null"},
            {"kid": "x" * 10_000},
            {"kid": None},
            {"kid": "unknown"},
            {"typ": "JWT"},
            {"typ": None},
        ],
    )
    async def test_refused(self, auth: ApiClient, forge: Sign, headers: dict[str, Any]) -> None:
        assert await status_of(auth, forge(headers=headers)) == 401

    async def test_operator_as_key_id(self, auth: ApiClient, ada: User) -> None:
        _, body, signature = ada.access_token.split(".")
        header = json.dumps({"alg": "EdDSA", "typ": "at+jwt", "kid": {"$ne": None}}).encode()
        token = f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{body}.{signature}"
        assert await status_of(auth, token) == 401

    async def test_key_brought_along(self, auth: ApiClient, forge: Sign) -> None:
        own = Ed25519PrivateKey.generate()
        jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(own.public_key()))
        for headers in ({"jwk": jwk}, {"jku": "http://127.0.0.1:1/"}, {"x5u": "http://127.0.0.1:1/"}):
            assert await status_of(auth, forge(key=own, headers=headers)) == 401


class TestClaims:
    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "other"},
            {"iss": None},
            {"aud": "other"},
            {"aud": None},
            {"exp": None},
            {"iat": None},
            {"sub": None},
            {"sid": None},
            {"exp": 1},
            {"sid": "0" * 24},
            {"sid": "not an id"},
        ],
    )
    async def test_refused(self, auth: ApiClient, forge: Sign, changes: dict[str, Any]) -> None:
        assert await status_of(auth, forge(**changes)) == 401

    async def test_clocks_may_differ_by_thirty_seconds(self, auth: ApiClient, forge: Sign) -> None:
        now = int(time.time())
        assert await status_of(auth, forge(exp=now - 20)) == 200
        assert await status_of(auth, forge(exp=now - 31)) == 401

    async def test_refresh_token_as_access_token(self, auth: ApiClient, ada: User) -> None:
        assert await status_of(auth, ada.refresh_token) == 401

    @pytest.mark.parametrize("token", ["x", "a.b.c", "x" * 5000, "eyJ.eyJ.eyJ"])
    async def test_no_tokens_at_all(self, auth: ApiClient, token: str) -> None:
        assert await status_of(auth, token) == 401
