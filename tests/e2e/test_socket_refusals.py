"""Whatever a client sends, it gets exactly one answer, or the connection ends."""

import asyncio
from typing import Any

import aiohttp
import pytest
from chat_shared.testing import Connect, NewRoom, RawSocket, User, eventually

ID = "0" * 23 + "1"
INVALID = "validation_failed"

#: Event, payload, and the code it is refused with; sent by somebody who is in none of these rooms.
REFUSED: list[tuple[str, Any, str]] = [
    ("no_such_event", {"roomId": ID}, "unknown_event"),
    ("message", "text", "unknown_event"),
    ("typing-", {"roomId": ID, "typing": True}, "unknown_event"),
    ("join_room", None, INVALID),
    ("join_room", "not-an-id", INVALID),
    ("join_room", 7, INVALID),
    ("join_room", [ID], INVALID),
    ("join_room", {"roomId": {"$ne": ""}}, INVALID),
    ("join_room", {"roomId": ID, "after": -1}, INVALID),
    ("join_room", {"roomId": ID, "after": "1"}, INVALID),
    ("join_room", {"roomId": ID, "limit": 10}, INVALID),
    ("join_room", {"roomId": ID}, "room_not_found"),
    ("leave_room", {"roomId": ID, "force": True}, INVALID),
    ("leave_room", {"roomId": ID}, "not_a_member"),
    ("send_message", None, INVALID),
    ("send_message", "text", INVALID),
    ("send_message", {"roomId": ID}, INVALID),
    ("send_message", {"roomId": ID, "content": ""}, INVALID),
    ("send_message", {"roomId": ID, "content": " \n"}, INVALID),
    ("send_message", {"roomId": ID, "content": "x" * 4001}, INVALID),
    ("send_message", {"roomId": ID, "content": 7}, INVALID),
    ("send_message", {"roomId": ID, "content": None}, INVALID),
    ("send_message", {"roomId": ID, "content": "a", "messageType": "video"}, INVALID),
    ("send_message", {"roomId": ID, "content": "a", "senderId": ID}, INVALID),
    ("send_message", {"roomId": ID, "content": "a", "seq": 1}, INVALID),
    ("send_message", {"roomId": ID, "content": "a", "clientMessageId": ""}, INVALID),
    ("send_message", {"roomId": ID, "content": "a", "clientMessageId": "x" * 65}, INVALID),
    ("send_message", {"roomId": ID, "content": "a", "imageUrl": "/media/x"}, INVALID),
    ("send_message", {"roomId": ID, "messageType": "image"}, INVALID),
    ("send_message", {"roomId": ID, "content": "a"}, "room_not_found"),
    ("send-message", {"roomId": ID, "content": "a"}, "room_not_found"),
    ("sync", {"rooms": [{"roomId": ID}]}, INVALID),
    ("sync", {"rooms": [{"roomId": ID, "after": 0, "extra": 1}]}, INVALID),
    ("typing", {"roomId": ID}, INVALID),
    ("typing", {"roomId": ID, "typing": "yes"}, INVALID),
    ("typing", {"roomId": ID, "typing": True}, "not_a_member"),
]
NAMES = [f"{number} {event} {code}" for number, (event, _, code) in enumerate(REFUSED)]


class TestRefusals:
    @pytest.mark.parametrize(("event", "payload", "code"), REFUSED, ids=NAMES)
    async def test_with_and_without_an_acknowledgement(
        self, connect: Connect, carol: User, event: str, payload: Any, code: str
    ) -> None:
        socket = await connect(carol)
        error = await socket.refused(event, payload)
        assert (error["code"], error["retryable"]) == (code, False)
        assert "Traceback" not in error["message"]
        assert socket.events("error") == []

        await socket.emit(event, payload)
        assert await socket.wait_for("error") == {"message": error["message"], "code": code}
        assert socket.connected

    async def test_rooms_of_others(
        self, connect: Connect, new_room: NewRoom, alice: User, carol: User
    ) -> None:
        """A public room has to be joined first; a private one looks as if there were none."""
        public, private = await new_room(alice), await new_room(alice, roomType="private")
        socket = await connect(carol)
        for room, code in ((public, "not_a_member"), (private, "room_not_found")):
            room_id = room["id"]
            assert (await socket.refused("join_room", room_id))["code"] == code
            message = {"roomId": room_id, "content": "let me in"}
            assert (await socket.refused("send_message", message))["code"] == code
            assert (await socket.refused("leave_room", room_id))["code"] == "not_a_member"

    @pytest.mark.parametrize("url", ["https://evil.example/x.png", "http://127.0.0.1/x.png", f"/media/{ID}"])
    async def test_image_that_is_not_ours(
        self, connect: Connect, new_room: NewRoom, alice: User, url: str
    ) -> None:
        room_id = (await new_room(alice))["id"]
        socket = await connect(alice)
        message = {"roomId": room_id, "messageType": "image", "imageUrl": url}
        assert (await socket.refused("send_message", message))["code"] in ("image_not_found", INVALID)

    async def test_exactly_one_answer_each(
        self, gateway_urls: list[str], new_room: NewRoom, alice: User
    ) -> None:
        """Good and bad events of one socket, all at once: one acknowledgement for every number."""
        room_id = (await new_room(alice))["id"]
        good: list[tuple[str, Any, str]] = [
            ("join_room", {"roomId": room_id}, "ok"),
            ("send_message", {"roomId": room_id, "content": "a"}, "ok"),
            ("sync", {"rooms": [{"roomId": room_id, "after": 0}]}, "ok"),
            ("typing", {"roomId": room_id, "typing": True}, "ok"),
            ("leave_room", {"roomId": room_id}, "ok"),
        ]
        cases = good + REFUSED
        async with RawSocket(gateway_urls[0]) as socket:
            await socket.log_in(alice.access_token)
            for number, (event, payload, _) in enumerate(cases):
                await socket.send_event(event, payload, ack_id=number)
            await eventually(lambda: len(socket.answers()) == len(cases))
            await socket.send_event("typing", {}, ack_id=len(cases))
            await eventually(lambda: len(cases) in socket.answers())
            answers = socket.answers()
        assert {number: len(found) for number, found in answers.items()} == dict.fromkeys(
            range(len(cases) + 1), 1
        )
        outcomes = [answers[number][0] for number in range(len(cases))]
        codes = ["ok" if outcome["ok"] else outcome["error"]["code"] for outcome in outcomes]
        assert codes == [code for _, _, code in cases]

    async def test_too_many_events(self, gateway_urls: list[str], alice: User) -> None:
        """Beyond the burst each event is refused, retryably; the socket lives on."""
        async with RawSocket(gateway_urls[0]) as socket:
            await socket.log_in(alice.access_token)
            for number in range(200):
                await socket.send_event("typing", {"roomId": ID, "typing": True}, ack_id=number)
            await eventually(lambda: len(socket.answers()) == 200)
            errors = [found[0]["error"] for found in socket.answers().values()]
            assert all(len(found) == 1 for found in socket.answers().values())
            refused = [error for error in errors if error["code"] == "rate_limited"]
            assert len(refused) >= 50
            assert all(error["retryable"] for error in refused)
            assert not socket.closed.is_set()


class TestBrokenFrames:
    """What no client sends ends the connection, and only that one."""

    @pytest.mark.parametrize(
        "frame",
        [
            '42["disconnect","x"]',
            '42["connect",{},{}]',
            '42["connect_error",{}]',
            '42{"a":1}',
            "42[]",
            "42[7]",
            "42",
            "42[",
            "49",
            "4",
            "9",
            "x",
            '451-["send_message",{"_placeholder":true,"num":0}]',
            '42/other,["send_message",{}]',
            "42" + "[" * 30_000,
            b"\x04binary",
        ],
        ids=str,
    )
    async def test_closes_the_socket(self, gateway_urls: list[str], alice: User, frame: str | bytes) -> None:
        async with RawSocket(gateway_urls[0]) as socket, RawSocket(gateway_urls[0]) as bystander:
            await bystander.log_in(alice.access_token)
            await socket.log_in(alice.access_token)
            await socket.send(frame)
            await socket.wait_closed(2)
            assert "Traceback" not in str(socket.frames)
            await bystander.send_event("typing", {}, ack_id=1)
            await eventually(lambda: 1 in bystander.answers())

    async def test_frame_beyond_64_kib(self, gateway_urls: list[str], alice: User) -> None:
        async with RawSocket(gateway_urls[0]) as socket:
            await socket.log_in(alice.access_token)
            await socket.send('42["typing","' + "x" * 70_000 + '"]')
            await socket.wait_closed(2)

    async def test_event_before_connect(
        self, gateway_urls: list[str], new_room: NewRoom, alice: User
    ) -> None:
        async with RawSocket(gateway_urls[0]) as socket:
            await socket.send_event("join_room", {"roomId": ID}, ack_id=1)
            await socket.wait_closed(2)
            assert socket.answers() == {}

    async def test_other_namespace(self, gateway_urls: list[str], alice: User) -> None:
        async with RawSocket(gateway_urls[0]) as socket:
            await socket.send(f'40/admin,{{"token":"{alice.access_token}"}}')
            await socket.wait_closed(2)

    async def test_silence_instead_of_connect(self, gateway_urls: list[str]) -> None:
        async with RawSocket(gateway_urls[0]) as socket:
            await socket.wait_closed(10)


class TestHandshake:
    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
    async def test_foreign_page(self, chat_url: str, alice: User, origin: str) -> None:
        """Also with the cookie that a browser would send along."""
        cookie = f"accessToken={alice.access_token}"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with RawSocket(chat_url, Origin=origin, Cookie=cookie):
                pass
        assert refused.value.status in (400, 403)

    async def test_own_page(self, chat_url: str, alice: User) -> None:
        async with RawSocket(chat_url, Origin=chat_url) as socket:
            await socket.log_in(alice.access_token)

    async def test_cookie_alone_opens_nothing(self, chat_url: str, alice: User) -> None:
        async with RawSocket(chat_url, Cookie=f"accessToken={alice.access_token}") as socket:
            await socket.send("40")
            assert "unauthenticated" in await socket.wait_for("44")

    async def test_polling_body_is_bounded(self, chat_url: str) -> None:
        async with aiohttp.ClientSession() as http:
            url = f"{chat_url}/socket.io/?EIO=4&transport=polling"
            async with http.get(url) as answer:
                sid = (await answer.text()).split('"sid":"')[1].split('"')[0]
            async with http.post(f"{url}&sid={sid}", data=b"4" * 2_000_000) as answer:
                assert answer.status in (400, 413)

    async def test_many_sockets_that_never_connect_do_not_keep_others_out(
        self, gateway_urls: list[str], alice: User
    ) -> None:
        idle = [RawSocket(gateway_urls[0]) for _ in range(50)]
        try:
            await asyncio.gather(*(socket.__aenter__() for socket in idle))
            async with RawSocket(gateway_urls[0]) as socket:
                await socket.log_in(alice.access_token)
        finally:
            for socket in idle:
                await socket.__aexit__(None, None, None)
