"""HTTP bodies of media."""

from chat_shared.contracts.base import EntityId, Timestamp, WireModel
from pydantic import Field

from chat_media.domain.files import MediaFile


class FileBody(WireModel):
    """A file that was stored."""

    url: str = Field(
        description="For those who may see it, always the same",
        examples=["http://localhost:8080/media/665f1c2ab7e0a1f2d3c4b5a6"],
    )
    media_id: EntityId
    bytes: int = Field(description="Size of what is stored", examples=[48213])
    content_type: str = Field(examples=["application/pdf"])
    name: str = Field(description="Name of downloads", examples=["minutes.pdf"])


class ImageBody(FileBody):
    """An image that was stored, encoded anew."""

    content_type: str = Field(examples=["image/jpeg"])
    name: str = Field(description="Name of downloads", examples=["holiday.jpg"])
    width: int = Field(examples=[1280])
    height: int = Field(examples=[720])


class LinkBody(WireModel):
    """A link that opens a file for anybody until it expires."""

    url: str = Field(
        examples=["http://localhost:8080/media/665f1c2ab7e0a1f2d3c4b5a6?expires=1767182400&signature=…"]
    )
    expires_at: Timestamp


def media_url(public_url: str, media_id: str) -> str:
    """Return where a file is downloaded, whatever store holds it."""
    return f"{public_url.rstrip('/')}/media/{media_id}"


def file_body(file: MediaFile, public_url: str) -> FileBody:
    """Return the body for a stored file."""
    return FileBody(
        url=media_url(public_url, file.id),
        media_id=file.id,
        bytes=file.size,
        content_type=file.content_type,
        name=file.name,
    )


def image_body(file: MediaFile, public_url: str) -> ImageBody:
    """Return the body for a stored image."""
    return ImageBody(
        **file_body(file, public_url).model_dump(), width=file.width or 0, height=file.height or 0
    )
