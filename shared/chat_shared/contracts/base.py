"""Field types and model bases that every contract is made of."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints
from pydantic.alias_generators import to_camel

#: A MongoDB ObjectId as 24 lower-case hex digits, the form that every client sees.
EntityId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{24}$"), Field(examples=["665f1c2ab7e0a1f2d3c4b5a6"])
]


#: Part of a pattern: anything that is left when white space around a text is taken away.
SOMETHING = r"[^\s\x1c-\x1f]"


def one_of(*names: str) -> dict[str, Any]:
    """Return the JSON schema that wants at least one of these fields, and not null."""
    return {
        "anyOf": [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in names]
    }


def utc_now() -> datetime:
    """Return the current time in UTC, cut to milliseconds: the precision MongoDB stores."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@lru_cache(maxsize=1_024)  # what is committed together has the same time, and is told of in several ways
def format_timestamp(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC with milliseconds, such as `2026-01-31T12:00:00.250Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


#: An instant: RFC 3339, UTC, milliseconds on the wire; an aware `datetime` in code.
Timestamp = Annotated[
    datetime,
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
    Field(examples=["2026-01-31T12:00:00.250Z"], json_schema_extra={"format": "date-time"}),
]


def _strip_text(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


#: Turns surrounding white space away before a length is checked.
Stripped = BeforeValidator(_strip_text)


class WireModel(BaseModel):
    """A body that we write: camelCase on the wire, snake_case in code."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        # What we write is whole, so a reader may count on a field that has a default here.
        json_schema_serialization_defaults_required=True,
    )


class StrictModel(WireModel):
    """A body that somebody else writes: an unknown field is an error, and types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True)
