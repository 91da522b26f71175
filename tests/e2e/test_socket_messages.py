"""Sending and receiving: who gets which message, when, and in which order."""

import asyncio
from collections.abc import Callable

import pytest
from chat_shared.contracts.sockets import AckSent
from chat_shared.testing import ApiClient, Connect, NewRoom, SocketClient, User, check_message, is_timestamp


class TestSendMessage:
    """`send_message` and `new-message`"""

    async def test_everybody_in_the_room_gets_it_on_both_gateways(
        self,
        connect: Connect,
        new_room: NewRoom,
        alice: User,
        bob: User,
        carol: User,
        client_message_id: Callable[[], str],
    ) -> None:
        room_id = (await new_room(alice, bob))["id"]
        sender, reader = await connect(alice, gateway=0), await connect(bob, gateway=1)
        outsider = await connect(carol, gateway=0)
        sent_id = client_message_id()
        answer = await sender.done(
            "send_message",
            {"roomId": room_id, "content": "hello", "messageType": "text", "clientMessageId": sent_id},
        )
        assert set(answer) == {"ok", "messageId", "seq", "createdAt", "duplicate"}
        assert AckSent.model_validate(answer).seq == 1
        assert answer["duplicate"] is False

        received = [await socket.wait_for("new-message") for socket in (sender, reader)]
        assert received[0] == received[1]
        message = check_message(received[0])
        assert (message.message_id, received[0]["createdAt"]) == (answer["messageId"], answer["createdAt"])
        assert (message.room_id, message.sender_id, message.content) == (room_id, alice.id, "hello")
        assert (message.seq, message.message_type, message.client_message_id) == (1, "text", sent_id)

        own_room = await new_room(carol)
        await outsider.done("join_room", {"roomId": own_room["id"]})
        assert outsider.events("new-message") == []

    @pytest.mark.parametrize("event", ["send_message", "send-message"])
    async def test_both_names_without_an_acknowledgement(
        self, connect: Connect, new_room: NewRoom, alice: User, event: str
    ) -> None:
        room_id = (await new_room(alice))["id"]
        socket = await connect(alice)
        await socket.emit(event, {"roomId": room_id, "content": "no answer wanted"})
        assert (await socket.wait_for("new-message"))["content"] == "no answer wanted"
        assert socket.events("error") == []

    async def test_longest_content_comes_back_as_it_was(
        self, connect: Connect, new_room: NewRoom, alice: User
    ) -> None:
        room_id = (await new_room(alice))["id"]
        socket = await connect(alice)
        content = '👋\n\t"\\ <b>' + "ß" * (4000 - 9)
        assert len(content) == 4000
        await socket.done("send_message", {"roomId": room_id, "content": content})
        assert (await socket.wait_for("new-message"))["content"] == content

    async def test_one_order_for_all(
        self, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        """A sender's messages keep their order, and every reader sees one and the same sequence."""
        room_id = (await new_room(alice, bob))["id"]
        sockets = [
            await connect(alice, gateway=0),
            await connect(alice, gateway=1),
            await connect(bob, gateway=0),
            await connect(bob, gateway=1),
        ]
        per_socket = 10

        async def send_all(socket: SocketClient, name: str) -> list[int]:
            calls = [
                socket.done("send_message", {"roomId": room_id, "content": f"{name}:{number}"})
                for number in range(per_socket)
            ]
            return [answer["seq"] for answer in await asyncio.gather(*calls)]

        positions = await asyncio.gather(
            *(send_all(socket, str(index)) for index, socket in enumerate(sockets))
        )
        total = per_socket * len(sockets)
        assert sorted(position for own in positions for position in own) == list(range(1, total + 1))
        assert all(own == sorted(own) for own in positions)
        seen = [await socket.wait_for_many("new-message", total) for socket in sockets]
        assert [message["seq"] for message in seen[0]] == list(range(1, total + 1))
        assert all(other == seen[0] for other in seen[1:])

    async def test_message_over_rest_arrives_live(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room_id = (await new_room(alice, bob))["id"]
        sockets = [await connect(bob, gateway=0), await connect(bob, gateway=1)]
        body = {"content": "by post"}
        sent = await api.data("POST", f"/room/{room_id}/messages", alice, status=201, json=body)
        for socket in sockets:
            message = await socket.wait_for("new-message")
            assert (message["messageId"], message["content"]) == (sent["messageId"], "by post")


class TestLeaveRoom:
    """`leave_room`: this socket no longer wants the room"""

    async def test_this_socket_alone(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room_id = (await new_room(alice, bob))["id"]
        leaver, stays = await connect(bob, gateway=0), await connect(bob, gateway=1)
        other = await connect(alice, gateway=1)
        assert await leaver.done("leave_room", {"roomId": room_id}) == {"ok": True}
        assert await other.wait_for("user-left") == {"userId": bob.id, "roomId": room_id}
        await other.done("send_message", {"roomId": room_id, "content": "who is left?"})
        await stays.wait_for("new-message")

        assert (await leaver.done("join_room", {"roomId": room_id}))["head"] == 1
        await leaver.wait_for("message-history")
        assert leaver.events("new-message") == []
        await other.done("send_message", {"roomId": room_id, "content": "welcome back"})
        assert (await leaver.wait_for("new-message"))["seq"] == 2
        await api.call("GET", f"/room/{room_id}/messages", bob)

    @pytest.mark.parametrize("event", ["leave_room", "leave-room"])
    async def test_bare_id_and_twice(
        self, connect: Connect, new_room: NewRoom, alice: User, event: str
    ) -> None:
        room_id = (await new_room(alice))["id"]
        socket = await connect(alice)
        assert await socket.done(event, room_id) == {"ok": True}
        assert (await socket.refused(event, room_id))["code"] == "not_a_member"


class TestTyping:
    """`typing` is seen by the others, on every gateway"""

    async def test_others_only(self, connect: Connect, new_room: NewRoom, alice: User, bob: User) -> None:
        room_id = (await new_room(alice, bob))["id"]
        typist, own_other = await connect(alice, gateway=0), await connect(alice, gateway=1)
        reader = await connect(bob, gateway=1)
        for typing in (True, False):
            assert await typist.done("typing", {"roomId": room_id, "typing": typing}) == {"ok": True}
        notices = await reader.wait_for_many("typing", 2)
        assert notices == [
            {"userId": alice.id, "roomId": room_id, "typing": True},
            {"userId": alice.id, "roomId": room_id, "typing": False},
        ]
        await reader.done("send_message", {"roomId": room_id, "content": "I saw that"})
        for socket in (typist, own_other):
            await socket.wait_for("new-message")
            assert socket.events("typing") == []

    async def test_refused_where_not_in_the_room(
        self, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room_id = (await new_room(alice))["id"]
        socket = await connect(bob)
        error = await socket.refused("typing", {"roomId": room_id, "typing": True})
        assert (error["code"], error["retryable"]) == ("not_a_member", False)


class TestTimes:
    async def test_times_are_the_servers_and_never_go_back_in_a_room(
        self, connect: Connect, new_room: NewRoom, alice: User
    ) -> None:
        room_id = (await new_room(alice))["id"]
        socket = await connect(alice)
        answers = [
            await socket.done("send_message", {"roomId": room_id, "content": str(number)})
            for number in range(5)
        ]
        times = [answer["createdAt"] for answer in answers]
        assert all(is_timestamp(time) for time in times)
        assert times == sorted(times)
