"""The two bodies of every REST answer: success, and RFC 9457 problem details."""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

DataT = TypeVar("DataT")


class Success(BaseModel, Generic[DataT]):
    """The body of every answer that worked."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    status_code: int = Field(200, alias="statusCode")
    success: Literal[True] = True
    message: str = "Success"
    data: DataT


class PageMeta(BaseModel):
    """Where a list goes on: pass `next` as the cursor of the following call; null at the end."""

    next: str | None = None


class Page(Success[list[DataT]], Generic[DataT]):
    """A list that continues: `data` holds one page of it."""

    meta: PageMeta = PageMeta()


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every answer that failed: RFC 9457 members, and those of the Express original."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    type: str = Field(examples=["urn:chat:problem:room_not_found"])
    title: str
    status: int
    detail: str
    instance: str | None = None
    code: str = Field(description="Stable, machine-readable reason", examples=["room_not_found"])
    retryable: bool = Field(False, description="True when the same request may work later")
    status_code: int = Field(alias="statusCode")
    success: Literal[False] = False
    message: str
    errors: list[FieldError] = []
    data: None = None


#: OpenAPI documentation of the failures every route may answer with.
def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` argument of a route that may fail with `statuses`.

    401 (no valid token), 429 (too many requests) and 503 (a dependency is away) are what any route may
    answer; name those that apply.
    """
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "Problem details (RFC 9457)", "content": content} for status in statuses}
