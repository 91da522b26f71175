"""The wire format: frames that are encoded once and sent to many, and packets we refuse to parse.

A frame is a complete Engine.IO text packet: `4` (message), the Socket.IO packet type, JSON.
See the Socket.IO protocol, revision 5, and the Engine.IO protocol, revision 4.
"""

from typing import Any

import orjson
import socketio.packet
from engineio import packet as engine_packet
from pydantic import BaseModel

EVENT_PREFIX = "42"
ACK_PREFIX = "43"
DISCONNECT_FRAME = "41"

#: Names that mean something to Socket.IO itself and that no client may send as an event.
RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)


class ProtocolError(Exception):
    """The client sent something that is not Socket.IO as we speak it."""


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


def payload_of(packet: engine_packet.Packet) -> str:
    """Return the JSON payload of a server event that was made here or in messaging."""
    frame: str = packet.encode_cache
    return frame[frame.index(",") + 1 : -1]


def ack_frame(ack_id: int, answer: BaseModel) -> str:
    """Return the frame that answers the event with this id."""
    return f"{ACK_PREFIX}{ack_id}[{answer.model_dump_json(exclude_none=True)}]"


def to_packet(frame: str) -> engine_packet.Packet:
    """Return the Engine.IO packet of a frame; it keeps its encoding, so one packet serves many sockets.

    Only the encoding is ever looked at, so `data` is the same text: a copy would double what waits in memory.
    """
    packet = engine_packet.Packet(engine_packet.MESSAGE, frame)
    packet.encode_cache = frame
    return packet


def parse_event(data: Any) -> tuple[str, Any]:
    """Return name and payload of an event packet; the payload is None when there is none.

    Raises:
        ProtocolError: not a list that begins with a name, or a reserved name.
    """
    if not isinstance(data, list) or not data or not isinstance(data[0], str) or data[0] in RESERVED_EVENTS:
        raise ProtocolError("not an event")
    return data[0], data[1] if len(data) > 1 else None
