"""The pair of tokens that a client holds."""

from dataclasses import dataclass
from datetime import datetime

from chat_shared.contracts.base import utc_now
from chat_shared.ids import uuid7

from chat_auth.domain.sessions import Lifetimes, Session
from chat_auth.service.signing_keys import KeyRing


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login or a refresh gives."""

    access_token: str
    access_seconds: int
    refresh_token: str
    refresh_seconds: int


class TokenIssuer:
    """Makes access tokens (RFC 9068) for sessions."""

    def __init__(self, keys: KeyRing, lifetimes: Lifetimes, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._lifetimes = lifetimes
        self._issuer = issuer
        self._audience = audience

    def issue(self, session: Session, refresh_token: str, refresh_until: datetime) -> TokenPair:
        """Return a fresh access token beside the refresh token to get the next one with."""
        now = utc_now()
        life = int(self._lifetimes.access.total_seconds())
        issued_at = int(now.timestamp())
        access_token = self._keys.sign(
            {
                "iss": self._issuer,
                "aud": self._audience,
                "sub": session.user_id,
                "sid": session.id,
                "iat": issued_at,
                "exp": issued_at + life,
                "jti": uuid7(),
            }
        )
        return TokenPair(access_token, life, refresh_token, round((refresh_until - now).total_seconds()))
