"""The wire format: frames that are encoded once and sent to many, and packets we refuse to parse.

A frame is a complete Engine.IO text packet: `4` (message), the Socket.IO packet type, JSON.
See the Socket.IO protocol, revision 5, and the Engine.IO protocol, revision 4.
"""

import struct
import sys
from collections.abc import Sequence
from typing import Any

import orjson
import socketio.packet
from chat_shared.contracts.base import format_timestamp
from chat_shared.contracts.internal import SendResult
from engineio import packet as engine_packet
from pydantic import BaseModel

EVENT_PREFIX = "42"
EVENT_TYPE = "2"
ACK_PREFIX = "43"
DISCONNECT_FRAME = "41"

MAX_ACK_DIGITS = 20
OWN_NAMESPACE = "/,"
#: Names that mean something to Socket.IO itself and that no client may send as an event.
RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)


class ProtocolError(Exception):
    """The client sent something that is not Socket.IO as we speak it."""


class ReadyPacket(engine_packet.Packet):  # type: ignore[misc] # the library is not typed
    """An Engine.IO message that is ready for the wire: encoded once, whoever gets it.

    It is kept as the WebSocket frame; a polling client, which is rare, gets its text.
    """

    def __init__(self, text: str) -> None:
        """`text` is a whole Engine.IO packet, such as `42["typing",{}]`."""
        self.packet_type = engine_packet.MESSAGE
        self.binary = False
        payload = text.encode()
        self.wire = websocket_header(len(payload)) + payload
        self._header_length = len(self.wire) - len(payload)

    @property
    def data(self) -> str:
        """The packet's text."""
        return self.wire[self._header_length :].decode()

    @property
    def size(self) -> int:
        """Bytes of memory that it holds."""
        return sys.getsizeof(self.wire)

    def encode(self, b64: bool = False) -> str:
        """Return the packet's text; text is never sent as base64."""
        return self.data


class Block:
    """Packets that go to many sockets together, in one write to each."""

    __slots__ = ("packets", "wire")

    def __init__(self, packets: Sequence[ReadyPacket]) -> None:
        self.packets = packets
        self.wire = b"".join([packet.wire for packet in packets])


def websocket_header(length: int) -> bytes:
    """Return the header of a final, unmasked text frame with a payload of `length` bytes (RFC 6455 §5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return struct.pack("!BBH", 0x81, 126, length)
    return struct.pack("!BBQ", 0x81, 127, length)


class Json:
    """orjson with the face of the standard library that python-socketio asks for."""

    @staticmethod
    def dumps(value: Any, *_args: Any, **_options: Any) -> str:
        """Return compact JSON."""
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, *_args: Any, **_options: Any) -> Any:
        """Parse JSON; a ValueError for anything else."""
        return orjson.loads(text)


class TextPacket(socketio.packet.Packet):  # type: ignore[misc] # the library is not typed
    """A Socket.IO packet without attachments: binary ones let a client hold our memory until it leaves."""

    uses_binary_events = False

    def decode(self, encoded_packet: str | bytes) -> int:
        """Parse a packet.

        Raises:
            ProtocolError: for a binary type, attachments, or anything malformed.
        """
        if not isinstance(encoded_packet, str) or not encoded_packet or encoded_packet[0] not in "01234":
            raise ProtocolError("not a text packet")
        try:
            attachments = super().decode(encoded_packet)
        except (ValueError, IndexError, RecursionError) as error:
            raise ProtocolError("malformed packet") from error
        if attachments:
            raise ProtocolError("attachments are not accepted")
        return 0


def event_frame(name: str, payload: BaseModel) -> str:
    """Return the frame of a server event."""
    return f'{EVENT_PREFIX}["{name}",{payload.model_dump_json(exclude_none=True)}]'


def raw_event_frame(name: str, json_payload: str) -> str:
    """Return the frame of a server event whose payload is JSON already."""
    return f'{EVENT_PREFIX}["{name}",{json_payload}]'


def payload_of(packet: ReadyPacket) -> str:
    """Return the JSON payload of a server event that was made here or in messaging."""
    text = packet.data
    return text[text.index(",") + 1 : -1]


def ack_frame(ack_id: int, answer: BaseModel) -> str:
    """Return the frame that answers the event with this id."""
    return f"{ACK_PREFIX}{ack_id}[{answer.model_dump_json(exclude_none=True)}]"


def sent_ack_frame(ack_id: int, result: SendResult) -> str:
    """Return the frame that acknowledges a stored message: the `AckSent` contract, without a model of it."""
    answer = {
        "ok": True,
        "messageId": result.message_id,
        "seq": result.seq,
        "createdAt": None if result.created_at is None else format_timestamp(result.created_at),
        "duplicate": result.duplicate,
    }
    return f"{ACK_PREFIX}{ack_id}[{orjson.dumps(answer).decode()}]"


def parse_event(text: str, start: int) -> tuple[str, Any, int | None]:
    """Return name, payload and acknowledgement id of an event.

    Args:
        text: the packet.
        start: where the id begins, behind the type.

    Returns:
        The payload is None when there is none, the id when no acknowledgement is wanted.

    Raises:
        ProtocolError: not an id and a list that begins with a name, or a reserved name.
    """
    if text.startswith(OWN_NAMESPACE, start):
        start += len(OWN_NAMESPACE)
    bracket = text.find("[", start, start + MAX_ACK_DIGITS + 1)
    ack_id = text[start:bracket]
    if bracket < 0 or (ack_id and not (ack_id.isascii() and ack_id.isdigit())):
        raise ProtocolError("not an event")
    try:
        data = orjson.loads(text[bracket:])
    except ValueError as error:
        raise ProtocolError("not JSON") from error
    if not isinstance(data, list) or not data or not isinstance(data[0], str) or data[0] in RESERVED_EVENTS:
        raise ProtocolError("not an event")
    return data[0], data[1] if len(data) > 1 else None, int(ack_id) if ack_id else None
