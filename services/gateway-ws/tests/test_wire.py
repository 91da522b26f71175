"""Frames as stock clients read them, and packets that are refused."""

import pytest
import socketio.packet
from chat_gateway_ws.wire import (
    Block,
    ProtocolError,
    ReadyPacket,
    TextPacket,
    ack_frame,
    event_frame,
    parse_event,
    sent_ack_frame,
)
from chat_shared.contracts.base import utc_now
from chat_shared.contracts.internal import SendResult
from chat_shared.contracts.sockets import AckDone, AckSent, RoomPresence
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri


def test_an_event_frame_is_what_the_library_would_send() -> None:
    presence = RoomPresence(user_id="1" * 24, room_id="2" * 24)
    frame = event_frame("user-online", presence)
    payload = {"userId": "1" * 24, "roomId": "2" * 24}
    assert frame == "4" + socketio.packet.Packet(socketio.packet.EVENT, ["user-online", payload]).encode()


def test_an_ack_frame_is_what_the_library_would_send() -> None:
    assert (
        ack_frame(7, AckDone())
        == "4" + socketio.packet.Packet(socketio.packet.ACK, [{"ok": True}], id=7).encode()
    )


def test_the_acknowledgement_of_a_message_keeps_its_contract() -> None:
    stored = {"message_id": "1" * 24, "seq": 5, "created_at": utc_now(), "duplicate": False}
    assert sent_ack_frame(7, SendResult(**stored)) == ack_frame(7, AckSent(**stored))


@pytest.mark.parametrize("length", [5, 125, 126, 65_535, 65_536])
def test_a_ready_packet_is_one_whole_websocket_frame(length: int) -> None:
    text = "4" * (length - 2) + "é"  # two bytes
    packet = ReadyPacket(text)
    peer = ClientProtocol(parse_uri("ws://localhost"), max_size=None, state=State.OPEN)
    peer.receive_data(packet.wire)
    [frame] = peer.events_received()
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, text.encode())
    assert packet.encode() == packet.data == text


def test_a_block_is_its_packets_one_after_the_other() -> None:
    packets = [ReadyPacket("42[1]"), ReadyPacket("42[2]" * 100)]
    peer = ClientProtocol(parse_uri("ws://localhost"), state=State.OPEN)
    peer.receive_data(Block(packets).wire)
    assert [bytes(frame.data).decode() for frame in peer.events_received()] == [p.data for p in packets]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "9",
        '51-["x",{"_placeholder":true,"num":0}]',
        "6",
        '21-["x"]',
        "2[",
        '2{"a":1',
        "2" + "[" * 60_000,
        "2" + "9" * 200 + "[]",
        b'2["x"]',
    ],
)
def test_what_is_no_text_packet_is_refused(text: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        TextPacket().decode(text)


@pytest.mark.parametrize(
    "text",
    [
        "2",
        "2null",
        "2{}",
        "2[]",
        "2[1]",
        '2[["x"]]',
        '2["connect",{}]',
        '2["disconnect","x"]',
        '2["connect_error"]',
        '2["x"',
        '2["x"]]',
        '21-["x"]',
        '2-1["x"]',
        '2²["x"]',
        "2" + "9" * 21 + '["x"]',
        '2/other,["x"]',
        "2" + "[" * 60_000,
        '2["x",NaN]',
    ],
)
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_event(text, 1)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ('2["a"]', ("a", None, None)),
        ('20["a"]', ("a", None, 0)),
        ('217["a",1,2]', ("a", 1, 17)),
        ('2/,3["a",{}]', ("a", {}, 3)),
    ],
)
def test_id_name_and_first_argument_count(text: str, event: tuple[str, object, int | None]) -> None:
    assert parse_event(text, 1) == event
