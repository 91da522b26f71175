"""A sealed message opens in its own place only."""

import os

import pytest
from bson import ObjectId
from chat_messaging.ciphers import RoomKey
from chat_messaging.domain import Body, MessageKey
from chat_shared.crypto import DecryptionFailed

ROOM, SENDER = str(ObjectId()), str(ObjectId())
KEY = MessageKey(SENDER, "c-1")
BODY = Body("the quick brown fox", "text", None)
MESSAGE = ObjectId()


@pytest.fixture
def room_key() -> RoomKey:
    return RoomKey.derive(os.urandom(32))


def test_opens_in_its_place(room_key: RoomKey) -> None:
    cipher = room_key.seal(ROOM, MESSAGE, KEY, BODY.to_bytes())
    assert room_key.open(ROOM, MESSAGE, SENDER, cipher) == BODY
    assert b"quick" not in bytes(cipher["ct"])


@pytest.mark.parametrize(
    ("room", "message", "sender"),
    [(str(ObjectId()), MESSAGE, SENDER), (ROOM, ObjectId(), SENDER), (ROOM, MESSAGE, str(ObjectId()))],
    ids=["another room", "another message", "another sender"],
)
def test_does_not_open_elsewhere(room_key: RoomKey, room: str, message: ObjectId, sender: str) -> None:
    cipher = room_key.seal(ROOM, MESSAGE, KEY, BODY.to_bytes())
    with pytest.raises(DecryptionFailed):
        room_key.open(room, message, sender, cipher)


def test_the_hash_is_keyed_and_tells_nothing_of_equal_texts(room_key: RoomKey) -> None:
    other_room, other_message = RoomKey.derive(os.urandom(32)), MessageKey(SENDER, "c-2")
    assert room_key.hash(KEY, b"x") == room_key.hash(KEY, b"x")
    assert room_key.hash(KEY, b"x") != room_key.hash(KEY, b"y")
    assert room_key.hash(KEY, b"x") != room_key.hash(other_message, b"x")
    assert room_key.hash(KEY, b"x") != other_room.hash(KEY, b"x")
