"""Signed links: who has one may see a file until it expires, without a token or a cookie."""

import base64
import hmac
import re
from dataclasses import dataclass

MAX_LINK_SECONDS = 3600

_EXPIRES_FORM = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Link:
    """What a signed link carries, as it came."""

    expires: str
    signature: str


class LinkSigner:
    """Makes links and checks them (HMAC-SHA256 over the file's id and the expiry)."""

    def __init__(self, key: str, seconds: int) -> None:
        """`seconds`: the life of a link."""
        self._key = key.encode()
        self._seconds = seconds

    def sign(self, media_id: str, now: float) -> Link:
        """Return a link to a file; `now` in Unix seconds."""
        expires = str(int(now) + self._seconds)
        return Link(expires, self._signature(media_id, expires))

    def is_valid(self, media_id: str, link: Link, now: float) -> bool:
        """Tell whether we made this link for this file and it has not expired.

        No link is believed that lives longer than an hour, whatever the setting was when it was made.
        """
        if not _EXPIRES_FORM.fullmatch(link.expires):
            return False
        expected = self._signature(media_id, link.expires)
        genuine = hmac.compare_digest(expected.encode(), link.signature.encode("utf-8", "replace"))
        return genuine and now < int(link.expires) <= now + MAX_LINK_SECONDS

    def _signature(self, media_id: str, expires: str) -> str:
        digest = hmac.digest(self._key, f"media-link:{media_id}:{expires}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
