"""Accounts and how they are named."""

from dataclasses import dataclass
from datetime import datetime

from email_validator import EmailNotValidError, validate_email

from chat_auth.errors import InvalidEmail

USERNAME_PATTERN = r"^[A-Za-z0-9_.-]{3,30}$"
MAX_EMAIL_LENGTH = 254
MAX_NAME_LENGTH = 50
MAX_URL_LENGTH = 500
AVATAR_URL_PATTERN = r"^(https?://[\x21-\x7e]+)?$"


@dataclass(frozen=True, slots=True)
class User:
    """An account as it is stored."""

    id: str
    username: str
    email: str
    password_hash: str
    created_at: datetime
    firstname: str = ""
    lastname: str = ""
    avatar_url: str | None = None
    last_seen: datetime | None = None


def lookup_key(name: str) -> str:
    """Return the form in which a username or an email address is unique."""
    return name.strip().casefold()


def normalise_email(address: str) -> str:
    """Return the normal form of an email address (RFC 5321, NFC, lower-case domain).

    Raises:
        InvalidEmail: when it is none.
    """
    try:
        parts = validate_email(address.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise InvalidEmail("email", str(error)) from error
    return parts.normalized
