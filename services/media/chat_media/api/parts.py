"""What the routes work with."""

from dataclasses import dataclass
from typing import Annotated

from chat_shared.rate_limits import RateLimiter
from fastapi import Depends, Request

from chat_media.api.forms import UploadSlots
from chat_media.service.access import Access
from chat_media.service.attachments import Attachments
from chat_media.service.content import ContentStores
from chat_media.service.removal import Removal
from chat_media.service.uploads import Uploads

#: The name of the one rate limit.
UPLOAD_RATE = "upload"


@dataclass(frozen=True, slots=True)
class Parts:
    """Wired once in `main`; `app.state.parts`."""

    uploads: Uploads
    access: Access
    attachments: Attachments
    removal: Removal
    stores: ContentStores
    limiter: RateLimiter
    slots: UploadSlots
    public_url: str


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsOfApp = Annotated[Parts, Depends(_parts)]
