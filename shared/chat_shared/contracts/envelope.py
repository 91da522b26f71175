"""The two bodies of every REST answer: success, and RFC 9457 problem details."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

DataT = TypeVar("DataT")


class Success(BaseModel, Generic[DataT]):
    """The body of every answer that worked."""

    model_config = ConfigDict(
        validate_by_name=True, serialize_by_alias=True, json_schema_serialization_defaults_required=True
    )

    status_code: int = Field(200, alias="statusCode")
    success: Literal[True] = True
    message: str = "Success"
    data: DataT


class PageMeta(BaseModel):
    """Where a list goes on: pass `next` as the cursor of the following call; null at the end."""

    model_config = ConfigDict(
        validate_by_name=True, serialize_by_alias=True, json_schema_serialization_defaults_required=True
    )

    next: str | None = Field(None, examples=["MTc2NzE4MjQwMDAwMC42NjVmMWMyYWI3ZTBhMWYyZDNjNGI1YTY"])


class Page(Success[list[DataT]], Generic[DataT]):
    """A list that continues: `data` holds one page of it."""

    meta: PageMeta = PageMeta()


class FieldError(BaseModel):
    """What is wrong with one field of the request."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every answer that failed: RFC 9457 members, and those of the Express original."""

    model_config = ConfigDict(
        validate_by_name=True, serialize_by_alias=True, json_schema_serialization_defaults_required=True
    )

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
