"""Signing keys: one at the first start of many processes, replaced without a gap, sealed at rest."""

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from chat_auth.domain.signing_keys import PUBLISH_LEAD, RETIRE_MARGIN
from chat_auth.service import signing_keys
from chat_auth.service.signing_keys import KeyPolicy, KeyRing
from chat_auth.store import SigningKeyStore
from chat_shared.contracts.base import utc_now
from chat_shared.crypto import MasterKeys
from chat_shared.mongo import Mongo
from chat_shared.testing import ApiClient, User
from chat_shared.tokens import KeySet, TokenVerifier

TOKEN_LIFE = timedelta(minutes=15)
POLICY = KeyPolicy(timedelta(days=30), TOKEN_LIFE)
MINUTE = timedelta(minutes=1)


class Clock:
    """The time that the key ring sees."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(signing_keys, "utc_now", clock)
    return clock


def master_keys(*ids: str) -> MasterKeys:
    return MasterKeys({key_id: key_id.encode() * 16 for key_id in ids})


@pytest.fixture
async def make_ring(scratch_mongo: Mongo) -> Callable[..., KeyRing]:
    """Makes key rings over one store, as several processes have them."""
    await SigningKeyStore(scratch_mongo)._create_indexes()
    return lambda keys=None: KeyRing(SigningKeyStore(scratch_mongo), keys or master_keys("k1"), POLICY)


def published(ring: KeyRing) -> set[str]:
    return {key["kid"] for key in json.loads(ring.public_document())["keys"]}


def signer(ring: KeyRing) -> str:
    key_id: str = jwt.get_unverified_header(ring.sign({"sub": "x"}))["kid"]
    return key_id


class TestFirstStart:
    async def test_two_processes_make_one_key(self, make_ring: Callable[..., KeyRing]) -> None:
        for _ in range(5):
            rings = [make_ring() for _ in range(8)]
            await asyncio.gather(*(ring.renew() for ring in rings))
            assert len({signer(ring) for ring in rings}) == 1
            assert {len(published(ring)) for ring in rings} == {1}
            await rings[0]._store.remove(list(published(rings[0])))

    async def test_processes_publish_the_same_document(
        self, auth: ApiClient, other_auth: ApiClient, ada: User
    ) -> None:
        one, other = [await client.http.get("/.well-known/jwks.json") for client in (auth, other_auth)]
        assert one.json() == other.json()
        assert one.headers["cache-control"] == "public, max-age=60"
        assert jwt.get_unverified_header(ada.access_token)["kid"] in {
            key["kid"] for key in one.json()["keys"]
        }
        for key in one.json()["keys"]:
            assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
            assert "d" not in key


class TestRotation:
    async def test_new_key_is_published_before_it_signs(
        self, make_ring: Callable[..., KeyRing], clock: Clock
    ) -> None:
        ring, other = make_ring(), make_ring()
        await ring.renew()
        old = signer(ring)
        await ring.rotate()
        await other.renew()
        assert len(published(ring)) == 2
        assert published(ring) == published(other)
        clock.now += PUBLISH_LEAD - MINUTE
        assert signer(ring) == signer(other) == old
        clock.now += MINUTE
        assert signer(ring) == signer(other) != old

    async def test_old_key_is_published_until_its_last_token_is_over(
        self, make_ring: Callable[..., KeyRing], clock: Clock
    ) -> None:
        ring = make_ring()
        await ring.renew()
        old = signer(ring)
        await ring.rotate()
        clock.now += PUBLISH_LEAD + TOKEN_LIFE + RETIRE_MARGIN - MINUTE
        await ring.renew()
        assert old in published(ring)
        clock.now += MINUTE
        await ring.renew()
        assert published(ring) == {signer(ring)}
        assert old not in published(ring)

    async def test_age_replaces_keys(self, make_ring: Callable[..., KeyRing], clock: Clock) -> None:
        ring = make_ring()
        await ring.renew()
        first = signer(ring)
        clock.now += POLICY.max_age - PUBLISH_LEAD - MINUTE
        await ring.renew()
        assert len(published(ring)) == 1
        clock.now += MINUTE
        await asyncio.gather(*(make_ring().renew() for _ in range(8)))
        await ring.renew()
        assert len(published(ring)) == 2
        assert signer(ring) == first
        clock.now += PUBLISH_LEAD
        assert signer(ring) != first

    async def test_no_token_is_refused_on_the_way(
        self, make_ring: Callable[..., KeyRing], clock: Clock
    ) -> None:
        """A verifier that fetched the keys before the rotation knows the new one when it is first used."""
        ring = make_ring()
        await ring.renew()

        async def fetch() -> bytes:
            return ring.public_document()

        verifier = TokenVerifier(KeySet(fetch), issuer="i", audience="a")
        claims = {"iss": "i", "aud": "a", "sub": "u", "sid": "s", "iat": 1, "exp": 2**33}
        old_token = ring.sign(claims)
        await ring.rotate()
        assert (await verifier.verify(old_token)).user_id == "u"
        clock.now += PUBLISH_LEAD
        new_token = ring.sign(claims)
        for token in (old_token, new_token):
            assert (await verifier.verify(token)).user_id == "u"
        assert jwt.get_unverified_header(old_token) != jwt.get_unverified_header(new_token)


class TestMasterKeys:
    async def test_old_master_key_still_opens(self, make_ring: Callable[..., KeyRing]) -> None:
        ring = make_ring(master_keys("k1"))
        await ring.renew()
        rewrapped = make_ring(master_keys("k2", "k1"))
        await rewrapped.renew()
        assert signer(rewrapped) == signer(ring)

    async def test_lost_master_key_makes_a_new_signing_key(self, make_ring: Callable[..., KeyRing]) -> None:
        ring = make_ring(master_keys("k1"))
        await ring.renew()
        other = make_ring(master_keys("k2"))
        await other.renew()
        assert signer(other) != signer(ring)
        assert published(other) == {signer(ring), signer(other)}

    async def test_private_keys_are_sealed_and_bound_to_their_place(
        self, make_ring: Callable[..., KeyRing], scratch_mongo: Mongo
    ) -> None:
        ring = make_ring()
        await ring.renew()
        key_id = signer(ring)
        private_key = ring._private_keys[key_id].private_bytes_raw()
        stored: Any = await scratch_mongo.database.signing_keys.find_one({"_id": key_id})
        assert private_key not in stored["privateKey"]["ct"]
        assert base64.b64encode(private_key) not in str(stored).encode()
        await scratch_mongo.database.signing_keys.delete_one({"_id": key_id})
        await scratch_mongo.database.signing_keys.insert_one({**stored, "_id": secrets.token_hex(8)})
        moved = make_ring()
        await moved.renew()
        assert signer(moved) not in {key_id, stored["_id"]}
        assert len(published(moved)) == 2
