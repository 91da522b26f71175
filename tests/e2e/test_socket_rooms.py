"""What happens to a room or its members shows on the sockets concerned, on every gateway."""

from typing import Any

from chat_shared.testing import ApiClient, Connect, NewRoom, SocketClient, User, eventually, is_timestamp

REVOCATION_SECONDS = 1.0


async def until_refused(socket: SocketClient, room_id: str, code: str) -> None:
    """Return as soon as sending into the room is refused with `code`, which has to be soon."""

    async def refused() -> bool:
        answer = await socket.call("send_message", {"roomId": room_id, "content": "am I still in?"})
        return not answer["ok"] and answer["error"]["code"] == code

    await eventually(refused, REVOCATION_SECONDS, f"sending is refused with {code}")


class TestMembers:
    async def test_joining_over_rest(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        """The others are told, and the new member's open sockets hear the room without `join_room`."""
        room_id = (await new_room(alice))["id"]
        member, newcomer = await connect(alice, gateway=0), await connect(bob, gateway=1)
        await api.call("POST", f"/room/{room_id}/join", bob)
        joined = {"userId": bob.id, "roomId": room_id}
        for socket in (member, newcomer):
            await socket.wait_for("user-joined", lambda event: bool(event == joined))
        await member.done("send_message", {"roomId": room_id, "content": "welcome"})
        assert (await newcomer.wait_for("new-message"))["content"] == "welcome"
        await newcomer.done("send_message", {"roomId": room_id, "content": "thanks"})

    async def test_being_added_to_a_private_room(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room_id = (await new_room(alice, roomType="private"))["id"]
        member, newcomer = await connect(alice, gateway=0), await connect(bob, gateway=1)
        assert (await newcomer.refused("join_room", room_id))["code"] == "room_not_found"
        await api.call("POST", f"/room/{room_id}/members", alice, status=201, json={"userId": bob.id})
        assert (await newcomer.done("join_room", room_id))["head"] == 0
        await member.done("send_message", {"roomId": room_id, "content": "welcome"})
        assert (await newcomer.wait_for("new-message"))["content"] == "welcome"

    async def test_leaving_over_rest(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room_id = (await new_room(alice, bob))["id"]
        member, leaver = await connect(alice, gateway=0), await connect(bob, gateway=1)
        await api.call("DELETE", f"/room/{room_id}/members", bob)
        assert await member.wait_for("user-left") == {"userId": bob.id, "roomId": room_id}
        await until_refused(leaver, room_id, "not_a_member")

    async def test_a_removed_member_gets_nothing_more(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room_id = (await new_room(alice, bob, carol, roomType="private"))["id"]
        owner, witness = await connect(alice, gateway=0), await connect(carol, gateway=1)
        removed = [await connect(bob, gateway=0), await connect(bob, gateway=1)]
        await owner.done("send_message", {"roomId": room_id, "content": "before"})
        await api.call("DELETE", f"/room/{room_id}/members/{bob.id}", alice)
        for socket in removed:
            await until_refused(socket, room_id, "room_not_found")

        await owner.done("send_message", {"roomId": room_id, "content": "after"})
        await witness.wait_for("new-message", lambda message: message["content"] == "after")
        for socket in removed:
            position = {"roomId": room_id, "after": 0}
            synced = (await socket.done("sync", {"rooms": [position]}))["rooms"]
            assert [room["error"]["code"] for room in synced] == ["room_not_found"]
            assert (await socket.refused("join_room", position))["code"] == "room_not_found"
            typing = {"roomId": room_id, "typing": True}
            assert (await socket.refused("typing", typing))["code"] == "not_a_member"
            contents = [message["content"] for message in socket.events("new-message")]
            assert "after" not in contents

    async def test_coming_back(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room_id = (await new_room(alice, bob))["id"]
        owner, member = await connect(alice, gateway=0), await connect(bob, gateway=1)

        def is_about_bob(event: dict[str, Any]) -> bool:
            return bool(event["userId"] == bob.id)

        def is_from_owner(message: dict[str, Any]) -> bool:
            return bool(message["senderId"] == alice.id)

        for round_number in range(1, 4):
            await api.call("DELETE", f"/room/{room_id}/members", bob)
            await member.wait_for_many("user-left", round_number, is_about_bob)
            await until_refused(member, room_id, "not_a_member")
            known = len(member.events("user-joined", is_about_bob))
            await api.call("POST", f"/room/{room_id}/join", bob)
            await member.wait_for_many("user-joined", known + 1, is_about_bob)
            await owner.done("send_message", {"roomId": room_id, "content": f"round {round_number}"})
            await member.wait_for_many("new-message", round_number, is_from_owner)


class TestRooms:
    async def test_update(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room_id = (await new_room(alice, bob))["id"]
        members = [await connect(alice, gateway=0), await connect(bob, gateway=1)]
        outsider = await connect(carol, gateway=1)
        change = {"roomName": "New name", "description": "New words", "roomType": "private"}
        changed = await api.data("PATCH", f"/room/{room_id}", alice, json=change)
        for socket in members:
            event: dict[str, Any] = await socket.wait_for("room-updated")
            assert is_timestamp(event["updatedAt"])
            assert event == {
                "roomId": room_id,
                **change,
                "createdBy": alice.id,
                "updatedAt": changed["updatedAt"],
            }
        own_room = (await new_room(carol))["id"]
        await api.call("PATCH", f"/room/{own_room}", carol, json={"roomName": "carol's"})
        await outsider.wait_for("room-updated", lambda event: event["roomId"] == own_room)
        assert len(outsider.events("room-updated")) == 1

    async def test_new_owner(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room_id = (await new_room(alice, bob))["id"]
        socket = await connect(bob)
        await api.call("DELETE", f"/room/{room_id}/members", alice)
        assert (await socket.wait_for("room-updated"))["createdBy"] == bob.id

    async def test_deletion(
        self, api: ApiClient, connect: Connect, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room_id = (await new_room(alice, bob))["id"]
        members = [await connect(alice, gateway=0), await connect(bob, gateway=1)]
        await members[0].done("send_message", {"roomId": room_id, "content": "last words"})
        await api.call("DELETE", f"/room/{room_id}", alice)
        for socket in members:
            assert await socket.wait_for("room-deleted") == {"roomId": room_id}
            await until_refused(socket, room_id, "room_not_found")
            assert (await socket.refused("join_room", room_id))["code"] == "room_not_found"
