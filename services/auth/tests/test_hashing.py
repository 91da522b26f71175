"""Password hashes: how strong they are, which old ones still count, and what a flood does."""

import asyncio
from collections.abc import Iterator

import bcrypt
import pytest
from argon2 import PasswordHasher as Argon2
from argon2 import extract_parameters
from argon2.low_level import Type
from chat_auth.errors import HashingBusy
from chat_auth.hashing import MAX_WAITING, PasswordHasher

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def hasher() -> PasswordHasher:
    return PasswordHasher()


async def test_hash_has_the_parameters_of_owasp(hasher: PasswordHasher) -> None:
    parameters = extract_parameters(await hasher.hash(PASSWORD))
    assert parameters.type is Type.ID
    assert parameters.memory_cost >= 19_456
    assert parameters.time_cost >= 2
    assert parameters.parallelism == 1


async def test_own_hash_needs_no_upgrade(hasher: PasswordHasher) -> None:
    verdict = await hasher.verify(PASSWORD, await hasher.hash(PASSWORD))
    assert verdict.matches
    assert verdict.upgraded_hash is None


async def test_long_twin_passwords_differ(hasher: PasswordHasher) -> None:
    stored = await hasher.hash("x" * 72 + "1")
    assert not (await hasher.verify("x" * 72 + "2", stored)).matches


@pytest.mark.parametrize(
    "weak",
    [
        Argon2(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD),
        bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    ],
)
async def test_weaker_hash_is_verified_and_upgraded(hasher: PasswordHasher, weak: str) -> None:
    assert not (await hasher.verify("wrong horse battery", weak)).matches
    verdict = await hasher.verify(PASSWORD, weak)
    assert verdict.matches
    assert verdict.upgraded_hash is not None
    assert (await hasher.verify(PASSWORD, verdict.upgraded_hash)).upgraded_hash is None


async def test_bcrypt_of_a_long_password_lets_its_owner_in(hasher: PasswordHasher) -> None:
    long = "p" * 80
    stored = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()
    verdict = await hasher.verify(long, stored)
    assert verdict.upgraded_hash is not None
    assert not (await hasher.verify("p" * 79, verdict.upgraded_hash)).matches


@pytest.mark.parametrize("stored", [None, "not a hash", "$2b$04$short"])
async def test_nothing_matches_no_hash(hasher: PasswordHasher, stored: str | None) -> None:
    assert not (await hasher.verify(PASSWORD, stored)).matches


class TestFlood:
    @pytest.fixture
    def flooded(self) -> Iterator[PasswordHasher]:
        hasher = PasswordHasher()
        yield hasher
        hasher._pool.shutdown(cancel_futures=True)

    async def test_more_than_may_wait_are_refused_at_once(self, flooded: PasswordHasher) -> None:
        attempts = [asyncio.create_task(flooded.verify(PASSWORD, None)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(HashingBusy):
            await flooded.verify(PASSWORD, None)
        await asyncio.gather(*attempts)
        assert not (await flooded.verify(PASSWORD, None)).matches
