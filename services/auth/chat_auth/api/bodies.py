"""Bodies that come as JSON, or as a form with an image beside the same fields."""

from typing import TypeVar

from chat_shared.app import MAX_JSON_BODY
from chat_shared.contracts.base import StrictModel
from chat_shared.error_handlers import validation_failed
from chat_shared.errors import ContentTooLarge, UnsupportedMedia
from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from chat_auth.errors import AvatarTooLarge, FieldRefused

MAX_AVATAR_BYTES = 5 * 1024 * 1024
#: The image, the fields beside it and the boundaries between them.
MAX_FORM_BYTES = MAX_AVATAR_BYTES + 64 * 1024
MAX_FIELDS = 10
MAX_FIELD_BYTES = 4 * 1024
#: How much of an unknown field's name goes into the answer.
MAX_FIELD_NAME = 50

ModelT = TypeVar("ModelT", bound=StrictModel)


async def read_body(request: Request, model: type[ModelT]) -> tuple[ModelT, bytes | None]:
    """Return the fields of a JSON or multipart body, and the `avatar` of the latter.

    Raises:
        ValidationFailed: with what is wrong, field by field.
        UnsupportedMedia: for any other content type.
        ContentTooLarge: when the body or the image is too large.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json":
        return await _read_json(request, model), None
    if content_type == "multipart/form-data":
        async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as form:
            return _parse(model, _texts(form)), await _avatar(form)
    raise UnsupportedMedia("Send application/json, or multipart/form-data with an avatar")


async def _read_json(request: Request, model: type[ModelT]) -> ModelT:
    body = await request.body()
    if len(body) > MAX_JSON_BODY:
        raise ContentTooLarge
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise validation_failed(error) from None


def _parse(model: type[ModelT], fields: dict[str, str]) -> ModelT:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise validation_failed(error) from None


def _texts(form: FormData) -> dict[str, str]:
    """Return the text fields, each once, without the avatar."""
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if name == "avatar":
            continue
        if isinstance(value, UploadFile):
            raise _refused(name, "The only file is avatar")
        if name in fields:
            raise _refused(name, "This field is there twice")
        fields[name] = value
    return fields


async def _avatar(form: FormData) -> bytes | None:
    avatar = form.get("avatar")
    if avatar is None:
        return None
    if not isinstance(avatar, UploadFile):
        raise _refused("avatar", "Send the avatar as a file")
    if (avatar.size or 0) > MAX_AVATAR_BYTES:
        raise AvatarTooLarge
    return await avatar.read() or None


def _refused(field: str, reason: str) -> FieldRefused:
    return FieldRefused(field[:MAX_FIELD_NAME], reason)
