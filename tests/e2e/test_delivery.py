"""One message, one place, one order: many senders, many processes, the same id many times."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser, SocketClient
from chat_shared.testing.room_log import read_log


class TestTheSameMessageManyTimes:
    async def test_fifty_at_once_over_two_gateways_and_rest_are_one(
        self, api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
    ) -> None:
        user = await new_user()
        room = await new_room(user)
        sockets = [await connect(user, gateway=number) for number in (0, 1, 0, 1)]
        body = {"content": "once", "clientMessageId": secrets.token_hex(16)}

        async def over_rest() -> dict[str, Any]:
            response = await api.send("POST", f"/room/{room['id']}/messages", user, json=body)
            assert response.status_code in (200, 201), response.text
            answer: dict[str, Any] = response.json()["data"]
            return answer

        async def over(socket: SocketClient) -> dict[str, Any]:
            return await socket.done("send_message", {"roomId": room["id"], **body})

        answers = await asyncio.gather(
            *(over(sockets[number % 4]) for number in range(30)), *(over_rest() for _ in range(20))
        )

        assert len({(answer["messageId"], answer["seq"], answer["createdAt"]) for answer in answers}) == 1
        assert sum(not answer["duplicate"] for answer in answers) <= 1
        assert [message["seq"] for message in await read_log(api, user, room["id"])] == [1]
        for socket in sockets:
            await socket.wait_for("new-message")
            assert len(socket.events("new-message")) == 1

    async def test_a_repeat_much_later_gets_the_first_answer(
        self, new_user: NewUser, new_room: NewRoom, connect: Connect, client_message_id: Callable[[], str]
    ) -> None:
        user = await new_user()
        room = await new_room(user)
        socket = await connect(user)
        first = {"roomId": room["id"], "content": "a", "clientMessageId": client_message_id()}
        answer = await socket.done("send_message", first)
        for number in range(5):
            await socket.done("send_message", {"roomId": room["id"], "content": f"{number}"})
        again = await socket.done("send_message", first)
        assert again == {**answer, "duplicate": True}

    async def test_the_same_id_with_other_content_is_a_conflict(
        self, new_user: NewUser, new_room: NewRoom, connect: Connect, client_message_id: Callable[[], str]
    ) -> None:
        user = await new_user()
        room = await new_room(user)
        socket = await connect(user)
        body = {"roomId": room["id"], "content": "a", "clientMessageId": client_message_id()}
        await socket.done("send_message", body)
        error = await socket.refused("send_message", {**body, "content": "b"})
        assert (error["code"], error["retryable"]) == ("idempotency_conflict", False)


class TestOneOrder:
    async def test_twenty_senders_over_all_processes_see_one_dense_order(
        self, api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
    ) -> None:
        owner = await new_user()
        members = [await new_user() for _ in range(4)]
        room = await new_room(owner, *members)
        users = [owner, *members]
        sockets = [await connect(users[number % 5], gateway=number % 2) for number in range(20)]
        per_sender = 15

        async def talk(number: int, socket: SocketClient) -> list[int]:
            seqs = []
            for turn in range(per_sender):
                if number % 4 == 3:  # every fourth over REST: it reaches either messaging process
                    answer = await api.data(
                        "POST",
                        f"/room/{room['id']}/messages",
                        users[number % 5],
                        status=201,
                        json={"content": f"{number}:{turn}"},
                    )
                else:
                    answer = await socket.done(
                        "send_message", {"roomId": room["id"], "content": f"{number}:{turn}"}
                    )
                seqs.append(answer["seq"])
            return seqs

        by_sender = await asyncio.gather(*(talk(number, socket) for number, socket in enumerate(sockets)))

        total = 20 * per_sender
        assert sorted(seq for seqs in by_sender for seq in seqs) == list(range(1, total + 1))
        assert all(seqs == sorted(seqs) for seqs in by_sender), "a later send got a lower seq"
        log = await read_log(api, owner, room["id"])
        expected = [(message["seq"], message["messageId"]) for message in log]
        assert [seq for seq, _ in expected] == list(range(1, total + 1))
        for socket in sockets:
            seen = await socket.wait_for_many("new-message", total, timeout=15)
            assert [(message["seq"], message["messageId"]) for message in seen] == expected

    async def test_messages_of_one_socket_keep_their_order_without_waiting_for_answers(
        self, new_user: NewUser, new_room: NewRoom, connect: Connect
    ) -> None:
        user = await new_user()
        room = await new_room(user)
        sender, reader = await connect(user, gateway=0), await connect(user, gateway=1)
        for number in range(50):
            await sender.emit("send_message", {"roomId": room["id"], "content": str(number)})
        seen = await reader.wait_for_many("new-message", 50)
        assert [message["content"] for message in seen] == [str(number) for number in range(50)]
