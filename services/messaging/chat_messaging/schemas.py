"""Bodies of the public routes."""

from typing import Any

from chat_shared.contracts.base import StrictModel, WireModel
from chat_shared.contracts.sockets import MAX_CONTENT_LENGTH, TEXT_OR_IMAGE, Message, MessageType, SendMessage
from pydantic import ConfigDict, Field, model_validator

KEY_PATTERN = r"^[\x21-\x7e]+$"
_ANY_ROOM = "0" * 24


class MessageCreate(StrictModel):
    """A message to send; the room is in the path."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"content": "hello"}], **TEXT_OR_IMAGE})

    content: str = Field("", max_length=MAX_CONTENT_LENGTH, examples=["hello"])
    message_type: MessageType = "text"
    image_url: str | None = Field(None, min_length=1, max_length=500)
    client_message_id: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        pattern=KEY_PATTERN,
        examples=["01981f0e-7c3a-7b60-9d1e-3f1a2b4c5d6e"],
    )

    @model_validator(mode="after")
    def _as_over_a_socket(self) -> "MessageCreate":
        SendMessage(room_id=_ANY_ROOM, **self.model_dump(by_alias=False))
        return self


class SentMessage(Message):
    """The message as it is stored; `duplicate` when it had been sent before."""

    duplicate: bool


class MessagePage(WireModel):
    """A page of history, oldest first."""

    messages: list[dict[str, Any]] = Field(json_schema_extra={"items": Message.model_json_schema()})
    head: int = Field(description="The highest `seq` of the room", examples=[57])
    total_message: int = Field(description="How many messages the room has", examples=[57])
