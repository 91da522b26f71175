"""Multipart forms: one file, at most one field beside it, and nothing that grows without bound.

The parsing is done by the framework, into a file that moves from memory to disk at 1 MB. Routes call it
themselves, after they know who is asking; as a parameter of the route it would run before that.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chat_shared.contracts.base import EntityId
from chat_shared.errors import ContentTooLarge
from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from chat_media.errors import UploadRefused, UploadsBusy
from chat_media.service.uploads import Upload

#: The boundaries and headers around the file, and the field beside it.
FORM_OVERHEAD = 64 * 1024
MAX_FIELD_BYTES = 1024
ROOM_FIELD = "roomId"
SHOWN_NAME_LENGTH = 50
#: Short, so that a store that hangs does not make the others wait long to be told so.
SLOT_SECONDS = 2.0

_ENTITY_ID: TypeAdapter[str] = TypeAdapter(EntityId)


class UploadSlots:
    """How many uploads are in memory at a time; the others wait a moment on disk."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a slot.

        Raises:
            UploadsBusy: none was free in time.
        """
        try:
            async with asyncio.timeout(SLOT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise UploadsBusy from None
        try:
            yield
        finally:
            self._free.release()


@asynccontextmanager
async def received_upload(
    request: Request, slots: UploadSlots, *, owner_id: str, field: str, max_bytes: int
) -> AsyncIterator[Upload]:
    """Receive the form of a request, and give its upload once there is a slot for it.

    Args:
        field: the name of the part with the file.
        max_bytes: size of the file at most.

    Raises:
        UploadRefused: the form is not what it should be.
        ContentTooLarge: the file or the whole form is.
        UploadsBusy: too many uploads at once.
    """
    async with _form(request, field) as form:
        file = _only_file(form, field)
        if not file.size:
            raise UploadRefused(field, "The file is empty")
        if file.size > max_bytes:
            raise ContentTooLarge(f"The file may have up to {max_bytes} bytes")
        room_id = _room_id(form)
        async with slots.one():
            yield Upload(owner_id, await file.read(), file.filename, file.content_type, room_id)


@asynccontextmanager
async def _form(request: Request, field: str) -> AsyncIterator[FormData]:
    content_type = request.headers.get("content-type", "").lower()
    if content_type.partition(";")[0].strip() != "multipart/form-data":
        raise UploadRefused(field, "Send multipart/form-data with a file in this field")
    # The parser decodes names with whatever codec a form asks for; not all of them are for text.
    if "charset" in content_type and "charset=utf-8" not in content_type.replace('"', ""):
        raise UploadRefused(field, "Forms have to be in UTF-8")
    async with request.form(max_files=1, max_fields=1, max_part_size=MAX_FIELD_BYTES) as form:
        yield form


def _only_file(form: FormData, field: str) -> UploadFile:
    for name in form:
        if name not in (field, ROOM_FIELD):
            raise UploadRefused(name[:SHOWN_NAME_LENGTH], "This field is not known here")
    file = form.get(field)
    if not isinstance(file, UploadFile):
        raise UploadRefused(field, "A file is needed here")
    return file


def _room_id(form: FormData) -> str | None:
    value = form.get(ROOM_FIELD)
    if value is None:
        return None
    try:
        return _ENTITY_ID.validate_python(value)
    except ValidationError:
        raise UploadRefused(ROOM_FIELD, "This is not the id of a room") from None


def form_schema(field: str, description: str) -> dict[str, Any]:
    """Return what the OpenAPI document says about such a form."""
    properties = {
        field: {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "minLength": 1,
            "description": description,
            "examples": ["(the bytes of the file)"],
        },
        ROOM_FIELD: {
            "type": "string",
            "pattern": "^[0-9a-f]{24}$",
            "examples": ["665f1c2ab7e0a1f2d3c4b5a6"],
            "description": "A room whose members may see it at once; otherwise it is shown by messages",
        },
    }
    schema = {
        "type": "object",
        "required": [field],
        "properties": properties,
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
