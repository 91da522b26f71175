"""Password hashes, made off the event loop by a bounded pool: a flood of logins cannot starve the rest."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from chat_auth.errors import HashingBusy

ARGON2_MEMORY_KIB = 19_456
ARGON2_PASSES = 2
ARGON2_LANES = 1
BCRYPT_MAX_BYTES = 72
WORKERS = 2
MAX_WAITING = 32

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comparing a password with a hash gave."""

    matches: bool
    upgraded_hash: str | None = None
    """A stronger hash of the same password, when the stored one is weaker than those made today."""


class PasswordHasher:
    """argon2id for new hashes; bcrypt hashes of the Express original are verified and upgraded."""

    def __init__(self) -> None:
        argon2 = Argon2Hasher(
            time_cost=ARGON2_PASSES, memory_cost=ARGON2_MEMORY_KIB, parallelism=ARGON2_LANES
        )
        self._bcrypt = BcryptHasher()
        self._schemes = PasswordHash((argon2, self._bcrypt))
        self._nobody = self._schemes.hash(secrets.token_urlsafe(32))
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="hash")
        self._waiting = 0

    async def start(self) -> None:
        """The threads begin with the first hash."""

    async def stop(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Return a new hash.

        Raises:
            HashingBusy: when too many are waiting already.
        """
        return await self._run(lambda: self._schemes.hash(password))

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Compare a password with a stored hash; without one, spend the same time on nobody's.

        Raises:
            HashingBusy: when too many are waiting already.
        """
        verdict = await self._run(lambda: self._verify(password, stored or self._nobody))
        return verdict if stored else Verdict(matches=False)

    def _verify(self, password: str, stored: str) -> Verdict:
        if self._bcrypt.identify(stored):
            return self._verify_bcrypt(password, stored)
        try:
            return Verdict(*self._schemes.verify_and_update(password, stored))
        except UnknownHashError:
            return Verdict(matches=False)

    def _verify_bcrypt(self, password: str, stored: str) -> Verdict:
        """The original hashed the first 72 bytes only; whoever chose more must still get in, once."""
        try:
            matches = self._bcrypt.verify(password.encode()[:BCRYPT_MAX_BYTES], stored)
        except ValueError:
            return Verdict(matches=False)
        return Verdict(matches, self._schemes.hash(password) if matches else None)

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        if self._waiting >= MAX_WAITING:
            raise HashingBusy
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
