"""The settings of media."""

from typing import Self

from chat_shared.rate_limits import RateText
from chat_shared.settings import ServiceSettings, setting
from pydantic import Field, SecretStr, model_validator

from chat_media.domain.links import MAX_LINK_SECONDS

UPLOAD_RATES = {"production": "120/10 minutes", "development": "10000/hour"}

_MIB = 1024 * 1024


class Settings(ServiceSettings):
    """What media needs to run."""

    usual_port = 8104

    service: str = Field("media", exclude=True)
    media_url_key: SecretStr = setting(
        ..., "CHAT_MEDIA_URL_KEY", "Signs the expiring links to media, 32+ characters"
    )
    max_image_bytes: int = setting(
        10 * _MIB, "CHAT_MEDIA_MAX_IMAGE_BYTES", "Size of an image at most", ge=1024, le=64 * _MIB
    )
    max_file_bytes: int = setting(
        10 * _MIB, "CHAT_MEDIA_MAX_FILE_BYTES", "Size of any other file at most", ge=1024, le=64 * _MIB
    )
    user_quota_bytes: int = setting(
        1024 * _MIB, "CHAT_MEDIA_USER_QUOTA_BYTES", "What one user may store in all", ge=1024
    )
    upload_rate: RateText | None = setting(
        None,
        "CHAT_MEDIA_UPLOAD_RATE",
        "Uploads of one user; default `120/10 minutes`, in development `10000/hour`",
    )
    link_seconds: int = setting(
        MAX_LINK_SECONDS, "CHAT_MEDIA_LINK_SECONDS", "Life of a signed link", ge=10, le=MAX_LINK_SECONDS
    )
    parallel_uploads: int = setting(
        16, "CHAT_MEDIA_PARALLEL_UPLOADS", "Uploads held in memory at a time", ge=1, le=1000
    )
    image_workers: int = setting(
        2, "CHAT_MEDIA_IMAGE_WORKERS", "Processes that decode and encode images", ge=1, le=64
    )
    sweep_seconds: float = setting(
        10.0, "CHAT_MEDIA_SWEEP_SECONDS", "How often leftovers are looked for", ge=0.1, le=3600
    )
    cloudinary_cloud_name: str = setting(
        "", "CLOUDINARY_CLOUD_NAME", "Store content with Cloudinary instead of GridFS; needs key and secret"
    )
    cloudinary_api_key: str = setting("", "CLOUDINARY_API_KEY", "API key at Cloudinary")
    cloudinary_api_secret: SecretStr = setting(
        SecretStr(""), "CLOUDINARY_API_SECRET", "API secret at Cloudinary"
    )
    cloudinary_folder: str = setting(
        "chat", "CHAT_CLOUDINARY_FOLDER", "Folder of all content at Cloudinary", pattern=r"^[\w-]{1,64}$"
    )
    cloudinary_url_prefix: str = setting(
        "https://api.cloudinary.com",
        "CHAT_CLOUDINARY_URL_PREFIX",
        "Base URL of Cloudinary's API, such as that of another region",
        pattern=r"^https?://",
    )
    cloudinary_seconds: float = setting(
        7.0, "CHAT_CLOUDINARY_SECONDS", "How long a call to Cloudinary may take", ge=0.5, le=30
    )

    @model_validator(mode="after")
    def _fill_in_rate(self) -> Self:
        self.upload_rate = self.upload_rate or UPLOAD_RATES[self.environment]
        return self

    @model_validator(mode="after")
    def _refuse_half_an_account(self) -> Self:
        parts = (
            self.cloudinary_cloud_name,
            self.cloudinary_api_key,
            self.cloudinary_api_secret.get_secret_value(),
        )
        if any(parts) and not all(parts):
            raise ValueError(
                "set CLOUDINARY_CLOUD_NAME, CLOUDINARY_API_KEY and CLOUDINARY_API_SECRET together, or none"
            )
        return self

    @property
    def uses_cloudinary(self) -> bool:
        """Whether new content goes to Cloudinary."""
        return bool(self.cloudinary_cloud_name)

    def secret_values(self) -> dict[str, str]:
        """Return the plain shared secrets by variable name."""
        return {**super().secret_values(), "CHAT_MEDIA_URL_KEY": self.media_url_key.get_secret_value()}
