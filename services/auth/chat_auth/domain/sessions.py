"""Sessions and their refresh tokens (RFC 9700 §4.14.2: rotation, one use, reuse ends the family).

A session is a family of refresh tokens: each is exchanged once for its successor. A token is random or
derived under a secret of its session, and only its SHA-256 is stored, so that the store holds nothing
that could be presented, yet a client whose answer was lost can be given the same successor again.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

TOKEN_BYTES = 32
#: How long a used token still yields its successor: parallel tabs, and answers lost on the way.
REUSE_GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things last."""

    access: timedelta
    idle: timedelta
    """A session ends this long after its last refresh."""
    absolute: timedelta
    """A session ends this long after its login, whatever happens."""

    def session_end(self, created_at: datetime, now: datetime) -> datetime:
        """Return when a session that was refreshed `now` ends if it is not refreshed again."""
        return min(now + self.idle, created_at + self.absolute)


@dataclass(frozen=True, slots=True)
class Session:
    """One login of one user on one device."""

    id: str
    user_id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str
    address: str


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What is stored of a refresh token."""

    digest: bytes
    session_id: str
    user_id: str
    expires_at: datetime
    used_at: datetime | None = None
    """When it was exchanged for its successor; None while it was not."""

    def is_reuse(self, now: datetime, *, successor_used: bool) -> bool:
        """Tell whether presenting this token now means that somebody has a copy of it.

        Once the successor was used its owner has it for sure, so that the grace is over.
        """
        if self.used_at is None:
            return False
        return successor_used or now - self.used_at > REUSE_GRACE


def _encode(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def new_family_secret() -> bytes:
    """Return the secret under which the tokens of a new session are derived."""
    return secrets.token_bytes(TOKEN_BYTES)


def first_token() -> str:
    """Return the first refresh token of a new session."""
    return _encode(secrets.token_bytes(TOKEN_BYTES))


def successor_of(token: str, family_secret: bytes) -> str:
    """Return the one token that `token` is exchanged for."""
    return _encode(hmac.digest(family_secret, token.encode(), "sha256"))


def digest_of(token: str) -> bytes:
    """Return what is stored of a token; it has 256 bits of its own, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()
