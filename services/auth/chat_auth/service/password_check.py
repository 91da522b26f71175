"""Checking a password without helping those who guess it."""

from chat_shared.rate_limits import RateLimiter

from chat_auth.domain.accounts import User
from chat_auth.errors import WrongCredentials
from chat_auth.hashing import PasswordHasher

LOGIN_ACCOUNT = "login:account"
LOGIN_ADDRESS = "login:address"


class PasswordCheck:
    """Compares passwords; wrong ones are counted per account and per network address."""

    def __init__(self, hasher: PasswordHasher, limiter: RateLimiter) -> None:
        self._hasher = hasher
        self._limiter = limiter

    async def check(self, user: User | None, password: str, *, account: str, address: str) -> str:
        """Return the hash to keep for the right password: the stored one, or a stronger one.

        An unknown account takes the same time and gives the same failure as a wrong password.

        Args:
            user: the account, or None when there is none.
            account: what to count wrong passwords under.
            address: where the guess comes from.

        Raises:
            RateLimited: after too many wrong passwords, whether or not this one is right.
            WrongCredentials: for a wrong password, or no account.
            HashingBusy: when too many are waiting already.
        """
        await self._require_allowance(account, address)
        verdict = await self._hasher.verify(password, user.password_hash if user else None)
        if user is None or not verdict.matches:
            await self._limiter.hit(LOGIN_ACCOUNT, account)
            await self._limiter.hit(LOGIN_ADDRESS, address)
            raise WrongCredentials
        # Guesses sent at once all pass the first look; none may profit from that.
        await self._require_allowance(account, address)
        await self._limiter.clear(LOGIN_ACCOUNT, account)
        return verdict.upgraded_hash or user.password_hash

    async def _require_allowance(self, account: str, address: str) -> None:
        await self._limiter.require(LOGIN_ACCOUNT, account)
        await self._limiter.require(LOGIN_ADDRESS, address)
