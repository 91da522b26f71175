"""The rules, without anything around them."""

from datetime import UTC, datetime, timedelta

import pytest
from chat_rooms.cursors import Position, decode_position
from chat_rooms.domain import Bounds, Membership, Role, Room, RoomType, Standing, new_membership, new_room
from chat_rooms.errors import (
    AlreadyMember,
    NotAMember,
    OwnerStays,
    RoleTooLow,
    RoomFull,
    RoomNotFound,
    TooManyRooms,
)
from chat_shared.errors import ChatError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROLES: tuple[Role | None, ...] = (None, "member", "admin", "owner")


def a_room(room_type: RoomType = "public") -> Room:
    room, _ = new_room("1" * 24, name="A", room_type=room_type, description="", owner_id="o", now=NOW)
    return room


def standing(role: Role | None, room_type: RoomType = "public") -> Standing:
    room = a_room(room_type)
    return Standing(room, None if role is None else Membership(room.id, "me", role, 1, NOW, 0))


def outcome(action: object) -> type[ChatError] | None:
    """Return the class of the failure of calling `action`."""
    try:
        action()  # type: ignore[operator]
    except ChatError as error:
        return type(error)
    return None


class TestStanding:
    @pytest.mark.parametrize(
        ("need", "expected"),
        [
            ("require_visible", (None, None, None, None)),
            ("require_member", (NotAMember, None, None, None)),
            ("require_manager", (NotAMember, RoleTooLow, None, None)),
            ("require_owner", (NotAMember, RoleTooLow, RoleTooLow, None)),
            ("require_may_join", (None, AlreadyMember, AlreadyMember, AlreadyMember)),
        ],
    )
    def test_public_rooms(self, need: str, expected: tuple[type[ChatError] | None, ...]) -> None:
        assert tuple(outcome(getattr(standing(role), need)) for role in ROLES) == expected

    @pytest.mark.parametrize(
        "need",
        ["require_visible", "require_member", "require_manager", "require_owner", "require_may_join"],
    )
    def test_a_private_room_is_unknown_outside(self, need: str) -> None:
        assert outcome(getattr(standing(None, "private"), need)) is RoomNotFound

    @pytest.mark.parametrize(
        ("actor", "role", "expected"),
        [
            ("owner", "admin", None),
            ("owner", "member", None),
            ("admin", "member", None),
            ("admin", "admin", RoleTooLow),
            ("member", "member", RoleTooLow),
            (None, "member", NotAMember),
        ],
    )
    def test_who_may_add(self, actor: Role | None, role: Role, expected: type[ChatError] | None) -> None:
        assert outcome(lambda: standing(actor).require_may_add(role)) is expected

    @pytest.mark.parametrize(
        ("actor", "target", "expected"),
        [
            ("owner", "admin", None),
            ("owner", "member", None),
            ("owner", "owner", OwnerStays),
            ("admin", "member", None),
            ("admin", "admin", RoleTooLow),
            ("admin", "owner", RoleTooLow),
            ("member", "member", RoleTooLow),
        ],
    )
    def test_who_may_remove(self, actor: Role, target: Role, expected: type[ChatError] | None) -> None:
        other = Membership("1" * 24, "other", target, 1, NOW, 0)
        assert outcome(lambda: standing(actor).require_may_remove(other)) is expected

    @pytest.mark.parametrize(("last_read", "unread"), [(0, 5), (3, 2), (5, 0), (9, 0)])
    def test_unread_is_never_negative(self, last_read: int, unread: int) -> None:
        room = a_room()
        room = Room(**{name: getattr(room, name) for name in room.__slots__} | {"last_seq": 5})
        assert Standing(room, Membership(room.id, "me", "member", 1, NOW, last_read)).unread == unread


class TestRoom:
    def test_every_change_counts(self) -> None:
        room = a_room().with_member("b")
        assert (room.rev, room.member_count, room.listed_members) == (2, 2, ("o", "b"))
        room = room.without_member(("o",))
        assert (room.rev, room.member_count, room.listed_members) == (3, 1, ("o",))
        assert room.with_new_roles().rev == 4

    def test_lists_a_hundred(self) -> None:
        room = a_room()
        for number in range(200):
            room = room.with_member(f"u{number}")
        assert room.listed_members == ("o", *(f"u{number}" for number in range(99)))
        assert room.member_count == 201

    def test_a_new_member_has_read_what_was_before(self) -> None:
        room = a_room()
        room = Room(**{name: getattr(room, name) for name in room.__slots__} | {"last_seq": 5})
        assert new_membership(room, "b", "member", NOW).last_read_seq == 5


class TestBounds:
    def test_the_last_place_is_one(self) -> None:
        bounds = Bounds(rooms_per_user=2, members_per_room=2)
        bounds.require_place_in(a_room())
        bounds.require_place_for_user(1)
        with pytest.raises(RoomFull):
            bounds.require_place_in(a_room().with_member("b"))
        with pytest.raises(TooManyRooms):
            bounds.require_place_for_user(2)


class TestPosition:
    @pytest.mark.parametrize("milliseconds", [0, 1, 1_769_860_800_123, 99_999_999_999_999])
    def test_a_cursor_leads_back(self, milliseconds: int) -> None:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
        position = Position(at, "0123456789abcdef01234567")
        assert decode_position(position.encode()) == position
