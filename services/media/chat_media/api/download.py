"""The answer that carries a file: headers that keep browsers from running it, and no needless bytes."""

from collections.abc import AsyncIterator

from chat_shared.error_handlers import problem_response
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from chat_media.domain.files import MediaFile
from chat_media.domain.names import content_disposition
from chat_media.domain.ranges import Span, names_etag, requested_span
from chat_media.errors import RangeNotSatisfiable
from chat_media.service.content import ContentStore

#: How long a browser may show a file of a room without asking whether its user still may see it.
PRIVATE_SECONDS = 300
PUBLIC_SECONDS = 365 * 24 * 3600


async def download(request: Request, file: MediaFile, store: ContentStore) -> Response:
    """Return the answer to a request for a file that the caller may see."""
    etag = f'"{file.id}"'  # the content behind an id never changes
    headers = _headers(file, etag, is_linked="signature" in request.query_params)
    if names_etag(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    try:
        part = requested_span(_range_header(request, etag), file.size)
    except RangeNotSatisfiable as error:
        return problem_response(error, request.url.path, {"content-range": f"bytes */{file.size}"})
    span = part or Span(0, file.size)
    headers |= {"content-type": file.content_type, "content-length": str(span.length)}
    if part is not None:
        headers["content-range"] = part.content_range(file.size)
    status = 200 if part is None else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    content = await _opened(store.read(file.store_key, span))
    return StreamingResponse(content, status, headers)


def _headers(file: MediaFile, etag: str, *, is_linked: bool) -> dict[str, str]:
    shown = "attachment" if file.kind == "file" else "inline"
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "cache-control": _cache_control(file),
        "content-disposition": content_disposition(shown, file.name),
        "content-security-policy": "default-src 'none'; sandbox",
        # Avatars and signed links are made to be embedded anywhere, the rest only on our own pages.
        "cross-origin-resource-policy": "cross-origin" if file.is_public or is_linked else "same-site",
    }
    return headers if file.is_public else {**headers, "vary": "Authorization, Cookie"}


def _cache_control(file: MediaFile) -> str:
    if file.is_public:
        return f"public, max-age={PUBLIC_SECONDS}, immutable"
    return f"private, max-age={PRIVATE_SECONDS}"


def _range_header(request: Request, etag: str) -> str | None:
    """Return the Range header unless it is about another version of the file (If-Range)."""
    if request.headers.get("if-range", etag) != etag:
        return None
    return request.headers.get("range")


async def _opened(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Wait for the first piece: a store that is away is then a problem, not a torn answer."""
    first = await anext(content)

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in content:
            yield piece

    return whole()
