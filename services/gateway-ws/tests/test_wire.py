"""Frames as stock clients read them, and packets that are refused."""

import pytest
import socketio.packet
from chat_gateway_ws.wire import ProtocolError, TextPacket, ack_frame, event_frame, parse_event, to_packet
from chat_shared.contracts.sockets import AckDone, RoomPresence


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


def test_a_shared_packet_is_encoded_once() -> None:
    packet = to_packet('42["x"]')
    assert packet.encode() is packet.encode()
    assert packet.encode() == '42["x"]'


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
    "data", [None, {}, [], [1], [["x"]], ["connect", {}], ["disconnect", "x"], ["connect_error"]]
)
def test_what_is_no_event_is_refused(data: object) -> None:
    with pytest.raises(ProtocolError):
        parse_event(data)


@pytest.mark.parametrize(
    ("data", "event"), [(["a"], ("a", None)), (["a", 1, 2], ("a", 1)), (["a", {}], ("a", {}))]
)
def test_name_and_first_argument_count(data: list[object], event: tuple[str, object]) -> None:
    assert parse_event(data) == event
