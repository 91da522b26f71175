"""`python -m chat_media.imaging.worker`: recodes images that come on standard input, one after the other.

    request   max_side (4 bytes), size (4 bytes), the image
    answer    size of the header (4 bytes), the header as JSON, the image where the header says `size`

Numbers are unsigned, in network byte order. The process ends at the end of its input, so it never outlives
the service that started it.
"""

import json
import resource
import struct
import sys
from contextlib import suppress

from chat_media.imaging.recoding import ImageRefused, recode

REQUEST = struct.Struct("!II")
ANSWER = struct.Struct("!I")

#: Enough for the largest image that is accepted, with copies; far below what hurts the machine.
MAX_MEMORY_BYTES = 1024**3


def main() -> None:
    """Answer until the input ends."""
    _give_up_rights()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        max_side, size = REQUEST.unpack(head)
        header, image = answer(requests.read(size), max_side)
        answers.write(ANSWER.pack(len(header)) + header)
        answers.write(image)
        answers.flush()


def answer(content: bytes, max_side: int) -> tuple[bytes, bytes]:
    """Return header and content of the answer for one image."""
    try:
        picture = recode(content, max_side)
    except ImageRefused as refused:
        return json.dumps({"refusal": refused.refusal}).encode(), b""
    header = {
        "contentType": picture.content_type,
        "width": picture.width,
        "height": picture.height,
        "size": len(picture.content),
    }
    return json.dumps(header).encode(), picture.content


def _give_up_rights() -> None:
    """Bound what a decoder that went wrong could do: no great memory, no files written, no core dump."""
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY_BYTES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        # Not every system knows each limit; the caps on pixels and time hold everywhere.
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))


if __name__ == "__main__":
    main()
