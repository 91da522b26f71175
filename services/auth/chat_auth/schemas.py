"""HTTP bodies of auth."""

from typing import Annotated, Literal, Self

from chat_shared.contracts.base import (
    SOMETHING,
    EntityId,
    StrictModel,
    Stripped,
    Timestamp,
    WireModel,
    one_of,
)
from pydantic import AfterValidator, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from chat_auth.domain.accounts import (
    AVATAR_URL_PATTERN,
    MAX_EMAIL_LENGTH,
    MAX_NAME_LENGTH,
    MAX_URL_LENGTH,
    USERNAME_PATTERN,
    User,
    normalise_email,
)
from chat_auth.domain.passwords import MAX_LENGTH, MIN_LENGTH
from chat_auth.domain.sessions import Session
from chat_auth.errors import InvalidEmail
from chat_auth.service.account_start import NewAccount
from chat_auth.service.tokens import TokenPair

MAX_TOKEN_LENGTH = 200
_REFRESH_EXAMPLE = "q0Xw1v7jT0mB2cUu4kS9r8eYpZ6aLhNd3fGiOxQwEtM"


def _check_email(address: str) -> str:
    try:
        return normalise_email(address)
    except InvalidEmail as error:
        raise ValueError(error.errors[0].message) from error


Username = Annotated[
    str,
    StringConstraints(pattern=USERNAME_PATTERN),
    Stripped,
    Field(description="3 to 30 of A-Z a-z 0-9 _ . -, unique without regard to case", examples=["ada"]),
]
Email = Annotated[
    str,
    StringConstraints(max_length=MAX_EMAIL_LENGTH),
    AfterValidator(_check_email),
    Stripped,
    Field(examples=["ada@example.com"], json_schema_extra={"format": "email"}),
]
PersonName = Annotated[
    str, StringConstraints(max_length=MAX_NAME_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$"), Stripped
]
#: An image that is somewhere else; an `avatar` that is sent along wins over it.
AvatarUrl = Annotated[
    str,
    StringConstraints(max_length=MAX_URL_LENGTH, pattern=AVATAR_URL_PATTERN),
    Stripped,
    Field(examples=["https://res.cloudinary.com/demo/image/upload/ada.png"]),
]
#: A password that somebody chooses; the list of common ones is looked at later.
NewPassword = Annotated[
    SecretStr,
    Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH, examples=["correct horse battery staple"]),
]
#: A password that somebody proves to know; older accounts may have a shorter one.
KnownPassword = Annotated[
    SecretStr, Field(min_length=1, max_length=MAX_LENGTH, examples=["correct horse battery staple"])
]
LoginName = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_EMAIL_LENGTH, pattern=SOMETHING), Stripped
]


class RegisterBody(StrictModel):
    """A new account."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "username": "ada",
                "email": "ada@example.com",
                "password": "correct horse battery staple",
                "firstname": "Ada",
            }
        }
    )

    username: Username
    email: Email
    password: NewPassword
    firstname: PersonName = ""
    lastname: PersonName = ""
    avatar_url: AvatarUrl | None = None

    def account(self) -> NewAccount:
        """Return the account that is wanted."""
        return NewAccount(
            username=self.username,
            email=self.email,
            password=self.password.get_secret_value(),
            firstname=self.firstname,
            lastname=self.lastname,
            avatar_url=self.avatar_url or None,
        )


class ProfileBody(StrictModel):
    """What to change in one's own profile."""

    model_config = ConfigDict(json_schema_extra={"example": {"firstname": "Ada", "lastname": "Lovelace"}})

    username: Username | None = None
    email: Email | None = None
    firstname: PersonName | None = None
    lastname: PersonName | None = None


class LoginBody(StrictModel):
    """Username or email address, and the password."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"username": "ada", "password": "correct horse battery staple"},
            **one_of("username", "email"),
        }
    )

    username: LoginName | None = None
    email: LoginName | None = None
    password: KnownPassword

    @model_validator(mode="after")
    def _names_an_account(self) -> Self:
        if self.username is None and self.email is None:
            raise ValueError("username or email is needed")
        return self


class RefreshBody(StrictModel):
    """The refresh token, for clients that keep no cookies."""

    refresh_token: str | None = Field(
        None, min_length=1, max_length=MAX_TOKEN_LENGTH, examples=[_REFRESH_EXAMPLE]
    )


class PasswordBody(StrictModel):
    """The password as it is, and as it shall be."""

    current_password: KnownPassword
    new_password: NewPassword


class PasswordResetBody(StrictModel):
    """The password that an operator gives to an account."""

    new_password: NewPassword


class DeleteAccountBody(StrictModel):
    """The password, to prove that it is the owner who asks."""

    password: KnownPassword


class PublicUser(WireModel):
    """A user as every signed-in user may see them."""

    id: EntityId
    legacy_id: EntityId = Field(alias="_id", description="Same as id, for existing clients")
    username: str = Field(examples=["ada"])
    firstname: str = Field(examples=["Ada"])
    lastname: str = Field(examples=["Lovelace"])
    avatar_url: str | None = Field(examples=["http://localhost:8080/media/665f1c2ab7e0a1f2d3c4b5a9"])
    is_online: bool
    last_seen: Timestamp | None = Field(description="When the last connection went away")
    created_at: Timestamp

    @classmethod
    def of(cls, user: User, *, is_online: bool) -> Self:
        """Return what is public of an account."""
        return cls(**_public_fields(user), is_online=is_online)


class OwnUser(PublicUser):
    """A user as they see themselves."""

    email: str = Field(examples=["ada@example.com"])

    @classmethod
    def of(cls, user: User, *, is_online: bool) -> Self:
        """Return the whole profile of an account."""
        return cls(**_public_fields(user), is_online=is_online, email=user.email)


def _public_fields(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "legacy_id": user.id,
        "username": user.username,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "avatar_url": user.avatar_url,
        "last_seen": user.last_seen,
        "created_at": user.created_at,
    }


class Tokens(WireModel):
    """Both tokens, for clients that keep no cookies."""

    access_token: str = Field(
        description="Send it as `Authorization: Bearer`", examples=["eyJhbGciOiJFZERTQSJ9.eyJzdWIi….mYJr…"]
    )
    refresh_token: str = Field(
        description="Good for one exchange at `/auth/refreshToken`", examples=[_REFRESH_EXAMPLE]
    )
    expires_in: int = Field(description="Seconds until the access token ends", examples=[900])

    @classmethod
    def of(cls, pair: TokenPair) -> Self:
        """Return the body for a pair of tokens."""
        return cls(
            access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.access_seconds
        )


class LoggedIn(Tokens):
    """Who logged in, and both tokens."""

    user: OwnUser


class SessionItem(WireModel):
    """One of the places where a user is logged in."""

    id: EntityId
    current: bool = Field(description="Whether it is the session of this request")
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp
    user_agent: str = Field(
        examples=["Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"]
    )
    address: str = Field(description="The network address of the login", examples=["203.0.113.7"])

    @classmethod
    def of(cls, session: Session, *, current_id: str) -> Self:
        """Return what a user may see of their session."""
        return cls(
            id=session.id,
            current=session.id == current_id,
            created_at=session.created_at,
            last_used_at=session.last_used_at,
            expires_at=session.expires_at,
            user_agent=session.user_agent,
            address=session.address,
        )


class EnvironmentItem(WireModel):
    """What kind of installation this is."""

    environment: Literal["development", "production"]


class JsonWebKey(WireModel):
    """A public key (RFC 7517, RFC 8037)."""

    kty: str = Field(examples=["OKP"])
    crv: str = Field(examples=["Ed25519"])
    alg: str = Field(examples=["EdDSA"])
    use: str = Field(examples=["sig"])
    kid: str = Field(examples=["8vPzQ1"])
    x: str = Field(examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])


class JsonWebKeySet(WireModel):
    """The public keys that access tokens are checked with."""

    keys: list[JsonWebKey]
