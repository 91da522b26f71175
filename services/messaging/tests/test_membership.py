"""Which membership fact counts when answers and events overtake each other."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from chat_messaging.errors import NotAMember, RoomNotFound
from chat_messaging.membership import Member, Memberships
from chat_shared.errors import Unavailable
from chat_shared.http import ServiceClient
from chat_shared.testing import eventually

MEMBER = Member("a" * 24, "b" * 24)


class Rooms:
    """The membership answers of rooms, over real HTTP."""

    def __init__(self) -> None:
        self.role: str | None = "member"
        self.rev = 5
        self.room_type: str | None = "private"
        self.questions = 0
        self.away = False
        self.events_arrive = True

    async def answer(self, request: web.Request) -> web.Response:
        self.questions += 1
        if self.away:
            return web.json_response({}, status=503)
        asked = (await request.json())["memberships"]
        facts = [
            {**key, "role": self.role, "rev": self.rev if self.role else 0, "roomType": self.room_type}
            for key in asked
        ]
        return web.json_response({"memberships": facts})


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
async def memberships(rooms: Rooms) -> AsyncIterator[Memberships]:
    app = web.Application()
    app.router.add_post("/internal/v1/memberships/check", rooms.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = ServiceClient("rooms", [f"http://127.0.0.1:{runner.addresses[0][1]}"], "t")
    await client.start()
    memberships = Memberships(client, lambda: rooms.events_arrive)
    await memberships.start()
    yield memberships
    await memberships.stop()
    await client.stop()
    await runner.cleanup()


async def test_a_member_is_asked_about_once(memberships: Memberships, rooms: Rooms) -> None:
    for _ in range(5):
        assert await memberships.refusals([MEMBER]) == {}
    assert rooms.questions == 1


async def test_an_outsider_is_asked_about_every_time(memberships: Memberships, rooms: Rooms) -> None:
    rooms.role = None
    assert isinstance((await memberships.refusals([MEMBER]))[MEMBER], RoomNotFound)
    rooms.room_type = "public"
    assert isinstance((await memberships.refusals([MEMBER]))[MEMBER], NotAMember)
    rooms.role = "member"
    assert await memberships.refusals([MEMBER]) == {}


async def test_one_question_for_many(memberships: Memberships, rooms: Rooms) -> None:
    await memberships.refusals({Member(f"{number:024x}", "b" * 24) for number in range(50)})
    assert rooms.questions == 1


async def test_a_removal_counts_at_once(memberships: Memberships) -> None:
    await memberships.refusals([MEMBER])
    memberships.left(MEMBER, 6)
    assert memberships.has_left(MEMBER)


async def test_an_older_answer_does_not_bring_a_membership_back(
    memberships: Memberships, rooms: Rooms
) -> None:
    memberships.left(MEMBER, 6)
    assert isinstance((await memberships.refusals([MEMBER]))[MEMBER], RoomNotFound)
    rooms.rev = 7
    assert await memberships.refusals([MEMBER]) == {}


async def test_an_older_removal_does_not_end_a_newer_membership(memberships: Memberships) -> None:
    memberships.joined(MEMBER, 7)
    memberships.left(MEMBER, 6)
    assert not memberships.has_left(MEMBER)


async def test_a_deleted_room_has_no_members(memberships: Memberships) -> None:
    await memberships.refusals([MEMBER])
    memberships.room_deleted(MEMBER.room_id, 8)
    assert memberships.has_left(MEMBER)


async def test_after_a_break_of_the_bus_everybody_is_asked_about_again(
    memberships: Memberships, rooms: Rooms
) -> None:
    await memberships.refusals([MEMBER])
    memberships.forget_members()
    await memberships.refusals([MEMBER])
    assert rooms.questions == 2


async def test_while_rooms_is_away_members_stay_members(
    memberships: Memberships, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Member(MEMBER.room_id, "c" * 24)
    await memberships.refusals([MEMBER])
    for constant in ("FRESH_SECONDS", "UNINFORMED_SECONDS"):
        monkeypatch.setattr(f"chat_messaging.membership.{constant}", 0)
    memberships.joined(MEMBER, 9)  # what is known of it is out of date at once
    rooms.away = True
    refusals = await memberships.refusals([MEMBER, stranger])
    assert list(refusals) == [stranger]
    assert isinstance(refusals[stranger], Unavailable)
    with pytest.raises(Unavailable):
        await memberships.require_reader(MEMBER)
    rooms.events_arrive = False
    assert set(await memberships.refusals([MEMBER])) == {MEMBER}
    rooms.events_arrive = True
    memberships.left(MEMBER, 10)
    assert set(await memberships.refusals([MEMBER])) == {MEMBER}


async def test_without_events_an_answer_counts_for_a_moment_only(
    memberships: Memberships, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms.events_arrive = False
    for _ in range(3):
        await memberships.refusals([MEMBER])
    assert rooms.questions == 1
    monkeypatch.setattr("chat_messaging.membership.UNINFORMED_SECONDS", 0)
    await memberships.refusals([MEMBER])
    assert rooms.questions == 2


async def test_who_goes_on_writing_is_asked_about_before_the_answer_is_out_of_date(
    memberships: Memberships, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    await memberships.refusals([MEMBER])
    monkeypatch.setattr("chat_messaging.membership.RENEWED_SECONDS", 30.0)
    asked = asyncio.create_task(memberships.refusals([MEMBER]))
    await asyncio.sleep(0)
    assert asked.done(), "nobody waits for the renewal"
    await eventually(lambda: rooms.questions == 2)


async def test_a_renewal_that_fails_costs_nothing(
    memberships: Memberships, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    await memberships.refusals([MEMBER])
    monkeypatch.setattr("chat_messaging.membership.RENEWED_SECONDS", 30.0)
    rooms.away = True
    assert await memberships.refusals([MEMBER]) == {}
    await eventually(lambda: rooms.questions == 2)
    rooms.away = False
    assert await memberships.refusals([MEMBER]) == {}
    await eventually(lambda: rooms.questions == 3)


async def test_who_is_known_to_have_left_does_not_come_back_while_rooms_is_away(
    memberships: Memberships, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event got lost, and only the answer of rooms told it."""
    await memberships.refusals([MEMBER])
    monkeypatch.setattr("chat_messaging.membership.FRESH_SECONDS", 0)
    memberships.joined(MEMBER, 9)  # what is known of it is out of date at once
    rooms.role = None
    assert set(await memberships.refusals([MEMBER])) == {MEMBER}
    rooms.away = True
    assert set(await memberships.refusals([MEMBER])) == {MEMBER}
