"""`join_room` and `sync`: what a client missed arrives once, in order, and joins the live messages."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from chat_shared.contracts.internal import SendBatch, SendItem, SendResults
from chat_shared.contracts.sockets import AckSynced
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.testing import (
    ApiClient,
    Connect,
    NewRoom,
    RawSocket,
    SocketClient,
    User,
    check_history,
    check_message,
    eventually,
)

if TYPE_CHECKING:
    from chat_local.stack import Stack

UNKNOWN = "0" * 24
MAX_MISSED = 1000
LONG = 1200


async def fill(api: ApiClient, room_id: str, user: User, count: int) -> None:
    """Put `count` messages into an empty room over REST; their content is their number."""
    for number in range(1, count + 1):
        body = {"content": str(number)}
        await api.call("POST", f"/room/{room_id}/messages", user, status=201, json=body)


def seqs(messages: list[dict[str, Any]]) -> list[int]:
    """Return the positions of messages after checking each of them."""
    return [check_message(message).seq for message in messages]


@pytest_asyncio.fixture
async def epoch(connect: Connect, new_room: NewRoom, carol: User) -> int:
    """The epoch of the log; a test run may have restored a backup before."""
    position = {"roomId": (await new_room(carol))["id"], "after": 0}
    answer = await (await connect(carol)).done("sync", {"rooms": [position]})
    return AckSynced.model_validate(answer).epoch or 0


@pytest_asyncio.fixture(scope="module")
async def sixty(api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> str:
    """A room of alice and bob with 60 messages, which no test adds to."""
    room_id: str = (await new_room(alice, bob))["id"]
    await fill(api, room_id, alice, 60)
    return room_id


@pytest_asyncio.fixture(scope="module")
async def long_room(own_stack: "Stack", api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> str:
    """A room of alice and bob with 1,200 messages, put in by the batch as the gateway does."""
    room_id: str = (await new_room(alice, bob))["id"]
    messaging = own_stack.instances("messaging")[0].url
    headers = {SERVICE_TOKEN_HEADER: own_stack.secrets["chat_service_token"]}
    for start in range(1, LONG, 400):
        items = [
            SendItem(
                room_id=room_id,
                sender_id=alice.id,
                content=str(number),
                message_type="text",
                client_message_id=f"fill-{number}",
            )
            for number in range(start, start + 400)
        ]
        batch = SendBatch(items=items).model_dump(mode="json", by_alias=True)
        response = await api.http.post(f"{messaging}/internal/v1/messages", json=batch, headers=headers)
        assert response.status_code == 200, response.text
        results = SendResults.model_validate_json(response.content).results
        assert [result.seq for result in results] == list(range(start, start + 400))
    return room_id


class TestJoinRoom:
    """`join_room` and `message-history`"""

    async def test_newest_fifty(
        self, connect: Connect, sixty: str, alice: User, bob: User, epoch: int
    ) -> None:
        other = await connect(bob, gateway=1)
        socket = await connect(alice, gateway=0)
        answer = await socket.done("join_room", {"roomId": sixty})
        assert answer == {"ok": True, "roomId": sixty, "head": 60, "epoch": epoch, "reset": False}
        history = check_history(await socket.wait_for("message-history"))
        assert (history.room_id, history.head) == (sixty, 60)
        assert [message.seq for message in history.messages] == list(range(11, 61))
        assert history.messages[-1].content == "60"
        joined = {"userId": alice.id, "roomId": sixty}
        await other.wait_for("user-joined", lambda event: bool(event == joined))
        assert socket.events("user-joined") == []

    @pytest.mark.parametrize("event", ["join_room", "join-room"])
    async def test_bare_id_without_an_acknowledgement(
        self, connect: Connect, sixty: str, alice: User, event: str
    ) -> None:
        socket = await connect(alice)
        await socket.emit(event, sixty)
        assert (await socket.wait_for("message-history"))["head"] == 60

    async def test_empty_room(self, connect: Connect, new_room: NewRoom, alice: User, epoch: int) -> None:
        room_id = (await new_room(alice))["id"]
        socket = await connect(alice)
        assert (await socket.done("join_room", {"roomId": room_id}))["head"] == 0
        empty = {"roomId": room_id, "messages": [], "head": 0, "epoch": epoch, "reset": False}
        assert await socket.wait_for("message-history") == empty

    @pytest.mark.parametrize(("after", "expected"), [(57, [58, 59, 60]), (60, [])])
    async def test_after(
        self, connect: Connect, sixty: str, alice: User, epoch: int, after: int, expected: list[int]
    ) -> None:
        socket = await connect(alice)
        answer = await socket.done("join_room", {"roomId": sixty, "after": after, "epoch": epoch})
        history = await socket.wait_for("message-history")
        assert (seqs(history["messages"]), history["head"]) == (expected, 60)
        assert (answer["reset"], history["reset"]) == (False, False)

    @pytest.mark.parametrize(("after", "epochs_off"), [(61, 0), (57, 1)])
    async def test_a_position_that_is_none_gets_the_newest_instead(
        self, connect: Connect, sixty: str, alice: User, epoch: int, after: int, epochs_off: int
    ) -> None:
        socket = await connect(alice)
        position = {"roomId": sixty, "after": after, "epoch": epoch + epochs_off}
        answer = await socket.done("join_room", position)
        assert answer == {"ok": True, "roomId": sixty, "head": 60, "epoch": epoch, "reset": True}
        history = await socket.wait_for("message-history")
        assert (history["reset"], seqs(history["messages"])) == (True, list(range(11, 61)))

    async def test_after_in_pages(self, connect: Connect, long_room: str, alice: User) -> None:
        socket = await connect(alice)
        after = LONG - MAX_MISSED
        await socket.done("join_room", {"roomId": long_room, "after": after})

        def last_page(page: dict[str, Any]) -> bool:
            return bool(page["messages"]) and page["messages"][-1]["seq"] == LONG

        await socket.wait_for("message-history", last_page)
        pages = [check_history(page) for page in socket.events("message-history")]
        assert len(pages) > 1
        received = [message.seq for page in pages for message in page.messages]
        assert received == list(range(after + 1, LONG + 1))

    async def test_too_far_behind_gets_the_newest_instead(
        self, connect: Connect, long_room: str, alice: User
    ) -> None:
        socket = await connect(alice)
        position = {"roomId": long_room, "after": LONG - MAX_MISSED - 1}
        assert (await socket.done("join_room", position))["reset"] is True
        history = await socket.wait_for("message-history")
        assert history["reset"] is True
        assert seqs(history["messages"]) == list(range(LONG - 49, LONG + 1))

    async def test_answer_comes_before_the_history(
        self, gateway_urls: list[str], sixty: str, alice: User
    ) -> None:
        async with RawSocket(gateway_urls[0]) as socket:
            await socket.log_in(alice.access_token)
            await socket.send_event("join_room", {"roomId": sixty}, ack_id=1)
            await socket.wait_for('42["message-history"')
            kinds = [frame.partition("{")[0] for frame in socket.frames]
            assert kinds.index("431[") < kinds.index('42["message-history",')

    async def test_no_seam_between_history_and_live(
        self, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        """While others write, a client that comes back sees each message once, in order, without a hole."""
        room_id = (await new_room(alice, bob))["id"]
        writer = await connect(alice, gateway=0)

        async def write() -> None:
            for number in range(50):
                await writer.done("send_message", {"roomId": room_id, "content": str(number)})

        writing = asyncio.create_task(write())
        applied: list[int] = []
        while len(applied) < 50:
            reader = await connect(bob, gateway=1)
            applied += await read_some(reader, room_id, last=len(applied), count=min(8, 50 - len(applied)))
            reader.cut()
        await writing
        assert applied == list(range(1, 51))


async def read_some(reader: SocketClient, room_id: str, last: int, count: int) -> list[int]:
    """Join after `last` and return what a client has applied once that is `count` messages or more."""
    await reader.done("join_room", {"roomId": room_id, "after": last})
    await eventually(lambda: len(applied_by(reader, last)) >= count)
    return applied_by(reader, last)


def applied_by(socket: SocketClient, last: int) -> list[int]:
    """Return what a client applies that had applied all up to `last` before it joined its one room.

    It takes nothing before its history, drops what it has already, and bears no hole.
    """
    applied: list[int] = []
    joined = False
    for event, payload in socket.received:
        joined = joined or event == "message-history"
        if not joined or event not in ("message-history", "new-message"):
            continue
        for message in payload["messages"] if event == "message-history" else [payload]:
            if message["seq"] > last:
                assert message["seq"] == last + 1, f"{message['seq']} follows {last}"
                last += 1
                applied.append(last)
    return applied


class TestSync:
    """`sync`: missing messages as `new-message`, then the acknowledgement"""

    async def test_missing_messages_of_several_rooms(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, sixty: str, alice: User, epoch: int
    ) -> None:
        quiet = (await new_room(alice))["id"]
        socket = await connect(alice)
        answer = await socket.done(
            "sync", {"rooms": [{"roomId": sixty, "after": 55}, {"roomId": quiet, "after": 0}]}
        )
        assert answer == {
            "ok": True,
            "epoch": epoch,
            "rooms": [
                {"roomId": sixty, "head": 60, "reset": False},
                {"roomId": quiet, "head": 0, "reset": False},
            ],
        }
        received = socket.events("new-message")
        assert {message["roomId"] for message in received} == {sixty}
        assert seqs(received) == [56, 57, 58, 59, 60], "all of them before the acknowledgement"

    async def test_both_sides_of_a_gap(
        self, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        """Live until the connection breaks, the missing part by `sync`, live again afterwards."""
        room_id = (await new_room(alice, bob))["id"]
        writer, reader = await connect(alice, gateway=0), await connect(bob, gateway=1)

        async def write(*numbers: int) -> None:
            for number in numbers:
                await writer.done("send_message", {"roomId": room_id, "content": str(number)})

        await write(1, 2)
        before = seqs(await reader.wait_for_many("new-message", 2))
        reader.cut()
        await write(3, 4, 5)
        back = await connect(bob, gateway=0)
        await back.done("sync", {"rooms": [{"roomId": room_id, "after": before[-1]}]})
        await write(6)
        after = seqs(await back.wait_for_many("new-message", 4))
        assert before + after == [1, 2, 3, 4, 5, 6]

    async def test_nothing_missing(self, connect: Connect, sixty: str, alice: User) -> None:
        socket = await connect(alice)
        answer = await socket.done("sync", {"rooms": [{"roomId": sixty, "after": 60}]})
        assert answer["rooms"] == [{"roomId": sixty, "head": 60, "reset": False}]
        assert socket.events("new-message") == []

    async def test_as_far_behind_as_may_be(self, connect: Connect, long_room: str, alice: User) -> None:
        socket = await connect(alice)
        position = {"roomId": long_room, "after": LONG - MAX_MISSED}
        answer = await socket.done("sync", {"rooms": [position]})
        assert answer["rooms"] == [{"roomId": long_room, "head": LONG, "reset": False}]
        assert seqs(socket.events("new-message")) == list(range(LONG - MAX_MISSED + 1, LONG + 1))

    async def test_too_far_behind_is_told(self, connect: Connect, long_room: str, alice: User) -> None:
        socket = await connect(alice)
        position = {"roomId": long_room, "after": LONG - MAX_MISSED - 1}
        answer = await socket.done("sync", {"rooms": [position]})
        assert answer["rooms"] == [{"roomId": long_room, "head": LONG, "reset": True}]
        assert socket.events("new-message") == []

    async def test_ahead_of_the_head_is_told(self, connect: Connect, sixty: str, alice: User) -> None:
        """A client that saw more than there is, as after a restored backup, has to begin anew."""
        socket = await connect(alice)
        answer = await socket.done("sync", {"rooms": [{"roomId": sixty, "after": 61}]})
        assert answer["rooms"] == [{"roomId": sixty, "head": 60, "reset": True}]

    async def test_another_epoch_is_told(self, connect: Connect, sixty: str, alice: User, epoch: int) -> None:
        socket = await connect(alice)
        answer = await socket.done("sync", {"rooms": [{"roomId": sixty, "after": 55}], "epoch": epoch + 1})
        assert answer["epoch"] == epoch
        assert answer["rooms"] == [{"roomId": sixty, "head": 60, "reset": True}]
        assert socket.events("new-message") == []

    async def test_live_after_a_reset(self, connect: Connect, new_room: NewRoom, alice: User) -> None:
        room_id = (await new_room(alice))["id"]
        socket = await connect(alice)
        answer = await socket.done("sync", {"rooms": [{"roomId": room_id, "after": 5}]})
        assert answer["rooms"][0]["reset"] is True
        await socket.done("send_message", {"roomId": room_id, "content": "anew"})
        assert seqs([await socket.wait_for("new-message")]) == [1]

    async def test_rooms_of_others_fail_one_by_one(
        self, connect: Connect, new_room: NewRoom, sixty: str, alice: User, carol: User
    ) -> None:
        public, private = await new_room(carol), await new_room(carol, roomType="private")
        socket = await connect(alice)
        positions = [
            {"roomId": room_id, "after": 59} for room_id in (public["id"], private["id"], UNKNOWN, sixty)
        ]
        answer = await socket.done("sync", {"rooms": positions})
        codes = [room.get("error", {}).get("code") for room in answer["rooms"]]
        assert codes == ["not_a_member", "room_not_found", "room_not_found", None]
        assert seqs(socket.events("new-message")) == [60]

    @pytest.mark.parametrize(
        "payload",
        [
            {"rooms": []},
            {"rooms": [{"roomId": UNKNOWN, "after": 0}] * 201},
            {"rooms": [{"roomId": UNKNOWN}]},
            {"rooms": [{"roomId": UNKNOWN, "after": -1}]},
            {"rooms": {"roomId": UNKNOWN, "after": 0}},
            {"rooms": [{"roomId": UNKNOWN, "after": 0}], "epoch": 0},
            {"rooms": [{"roomId": UNKNOWN, "after": 0}], "epoch": "1"},
            {},
        ],
    )
    async def test_bad_payload(self, connect: Connect, alice: User, payload: dict[str, Any]) -> None:
        socket = await connect(alice)
        assert (await socket.refused("sync", payload))["code"] == "validation_failed"
