"""How documents of the original, and of its forks, are read."""

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import DatetimeMS, ObjectId
from chat_local.express.shapes import account_from, entity_id, message_from, room_from

OWN, OTHER, THIRD = ObjectId(), ObjectId(), ObjectId()
DATE = datetime(2025, 5, 4, 3, 2, 1, tzinfo=UTC)
EARLIER = datetime(2024, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (OWN, str(OWN)),
        (str(OWN).upper(), str(OWN)),
        ("seventeen", None),
        (17, None),
        (None, None),
        ({"$ne": 1}, None),
    ],
)
def test_ids(value: Any, expected: str | None) -> None:
    assert entity_id(value) == expected


class TestAccount:
    @pytest.mark.parametrize(
        "names",
        [
            {"firstname": "Ada", "lastname": "King Lovelace"},
            {"firstName": "Ada", "lastName": "King Lovelace"},
            {"fullName": "Ada King Lovelace"},
            {"name": " Ada King Lovelace "},
        ],
    )
    def test_names(self, names: dict[str, str]) -> None:
        account = account_from({"_id": OWN, **names})
        assert (account.firstname, account.lastname) == ("Ada", "King Lovelace")

    @pytest.mark.parametrize(
        "avatar",
        [{"avatarUrl": "https://a"}, {"avatar": {"url": "https://a"}}, {"profilePicture": "https://a"}],
    )
    def test_avatar(self, avatar: dict[str, Any]) -> None:
        assert account_from({"_id": OWN, **avatar}).avatar_url == "https://a"

    def test_what_lacks_or_is_no_text(self) -> None:
        account = account_from({"_id": OWN, "username": 7, "email": None, "lastSeen": "yesterday"})
        assert (account.username, account.email, account.password_hash) == (None, None, None)
        assert account.created_at == OWN.generation_time
        assert account.last_seen is None


class TestRoom:
    @pytest.mark.parametrize(
        "fields",
        [
            {"roomName": "a", "roomType": "private", "createdBy": OTHER, "members": [OTHER, THIRD, THIRD]},
            {
                "name": "a",
                "type": "private",
                "owner": str(OTHER),
                "participants": [{"user": THIRD}, "nobody"],
            },
            {"name": "a", "type": "private", "admin": OTHER, "members": [{"_id": THIRD}]},
        ],
    )
    def test_names_of_fields(self, fields: dict[str, Any]) -> None:
        room = room_from({"_id": OWN, **fields})
        assert (room.name, room.type) == ("a", "private")
        assert room.people() == (str(OTHER), str(THIRD))

    def test_what_lacks(self) -> None:
        room = room_from({"_id": OWN, "createdAt": DATE})
        assert (room.name, room.description, room.people(), room.updated_at) == (None, "", (), DATE)

    @pytest.mark.parametrize(
        ("fields", "room_type", "says_no_type"),
        [
            ({"roomType": "public"}, "public", False),
            ({"isPrivate": True}, "private", False),
            ({"private": False}, "public", False),
            ({"roomType": "public", "isPrivate": True}, "public", False),
            ({}, "private", True),
            ({"roomType": 7}, "private", True),
            ({"roomType": "", "isPrivate": "no"}, "private", True),
        ],
    )
    def test_type(self, fields: dict[str, Any], room_type: str, says_no_type: bool) -> None:
        """Where nothing says that anybody may come in, nobody may."""
        room = room_from({"_id": OWN, **fields})
        assert (room.type, room.says_no_type) == (room_type, says_no_type)


class TestMessage:
    @pytest.mark.parametrize(
        "fields",
        [
            {"sender": OTHER, "content": "a"},
            {"senderId": str(OTHER), "text": "a"},
            {"user": OTHER, "message": "a"},
        ],
    )
    def test_names_of_fields(self, fields: dict[str, Any]) -> None:
        message = message_from({"_id": OWN, **fields})
        assert (message.sender_id, message.content, message.is_image) == (str(OTHER), "a", False)

    @pytest.mark.parametrize(
        ("fields", "is_image"),
        [
            ({"messageType": "image", "imageUrl": "https://a"}, True),
            ({"type": "image", "image": {"secure_url": "https://a"}}, True),
            ({"messageType": "text", "imageUrl": "https://a"}, True),
            ({"messageType": "image"}, True),
            ({"messageType": "audio"}, False),
            ({"messageType": "text", "imageUrl": ""}, False),
        ],
    )
    def test_images(self, fields: dict[str, Any], is_image: bool) -> None:
        assert message_from({"_id": OWN, **fields}).is_image is is_image

    @pytest.mark.parametrize(
        ("dates", "expected"),
        [
            ({"createdAt": DATE, "deliveredAt": EARLIER}, DATE),
            ({"deliveredAt": DATE}, DATE),
            ({"createdAt": "2025", "timestamp": DATE}, DATE),
            ({"createdAt": DATE.replace(tzinfo=None)}, DATE),
            ({}, OWN.generation_time),
            ({"createdAt": DatetimeMS(10**15), "timestamp": DATE}, DATE),
            ({"createdAt": datetime(9999, 12, 31, tzinfo=UTC)}, OWN.generation_time),
            ({"createdAt": datetime(1, 1, 1, tzinfo=UTC)}, OWN.generation_time),
        ],
    )
    def test_dates(self, dates: dict[str, Any], expected: datetime) -> None:
        assert message_from({"_id": OWN, **dates}).created_at == expected
