"""Row by row what docs/from-express.md says of the socket events of the Express original."""

import asyncio
import json
import re
import shutil
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest
from chat_shared.testing import (
    ApiClient,
    Connect,
    NewRoom,
    NewUser,
    SocketClient,
    User,
    check_history,
    check_message,
)
from chat_shared.testing.socket_client import ConnectRefused
from PIL import Image

OLD_CLIENT = Path(__file__).parent / "js" / "old-client.mjs"
BOTH_NAMES = pytest.mark.parametrize("separator", ["_", "-"])


def picture() -> dict[str, tuple[str, bytes, str]]:
    """Return the form of an image."""
    buffer = BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return {"image": ("red.png", buffer.getvalue(), "image/png")}


def is_iso_date(text: str) -> bool:
    """Tell whether `new Date(text)` in a browser would read it as the original wrote it."""
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)) and bool(
        datetime.fromisoformat(text)
    )


class TestSockets:
    """The socket events, in both forms of their names."""

    @pytest.mark.row("S01", "S15")
    async def test_connect(
        self, api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
    ) -> None:
        alice, bob = await new_user(), await new_user()
        room_id = (await new_room(alice, bob))["_id"]
        watching = await connect(alice)
        await connect(bob)
        online = await watching.wait_for("user-online", lambda event: event["userId"] == bob.id)
        assert online == {"userId": bob.id, "roomId": room_id}
        path = f"/room/{room_id}/messages"
        await api.call("POST", path, bob, status=201, json={"content": "without a join"})
        await watching.wait_for("new-message")

    @pytest.mark.row("S02")
    async def test_token_in_the_query(self, chat_url: str, alice: User) -> None:
        socket = SocketClient()
        with pytest.raises(ConnectRefused) as refusal:
            await socket.connect(f"{chat_url}?token={alice.access_token}", None, auth={})
        assert refusal.value.code == "unauthenticated"

    @pytest.mark.row("S03", "S16")
    async def test_disconnect(self, new_user: NewUser, new_room: NewRoom, connect: Connect) -> None:
        alice, bob = await new_user(), await new_user()
        room_id = (await new_room(alice, bob))["_id"]
        watching, leaving = await connect(alice), await connect(bob)
        await watching.wait_for("user-online", lambda event: event["userId"] == bob.id)
        await leaving.disconnect()
        assert await watching.wait_for("user-offline", timeout=20) == {"userId": bob.id, "roomId": room_id}

    @pytest.mark.row("S04", "S05", "S14", "S17")
    @pytest.mark.parametrize(("event", "is_bare"), [("join_room", False), ("join-room", True)])
    async def test_join(
        self,
        api: ApiClient,
        alice: User,
        bob: User,
        new_room: NewRoom,
        connect: Connect,
        event: str,
        is_bare: bool,
    ) -> None:
        room_id = (await new_room(alice, bob))["_id"]
        for number in range(3):
            body = {"content": str(number)}
            await api.call("POST", f"/room/{room_id}/messages", alice, status=201, json=body)
        watching, joining = await connect(alice), await connect(bob)
        await joining.emit(event, room_id if is_bare else {"roomId": room_id})
        history = await joining.wait_for("message-history")
        assert history["roomId"] == room_id
        assert [message["content"] for message in history["messages"]] == ["0", "1", "2"]
        check_history(history)
        assert await watching.wait_for("user-joined") == {"userId": bob.id, "roomId": room_id}

    @pytest.mark.row("S06", "S07", "S18")
    @pytest.mark.parametrize(("event", "is_bare"), [("leave_room", False), ("leave-room", True)])
    async def test_leave(
        self,
        alice: User,
        bob: User,
        new_room: NewRoom,
        connect: Connect,
        event: str,
        is_bare: bool,
    ) -> None:
        room_id, other_id = [(await new_room(alice, bob))["_id"] for _ in range(2)]
        staying, leaving = await connect(alice), await connect(bob)
        await leaving.emit(event, room_id if is_bare else {"roomId": room_id})
        assert await staying.wait_for("user-left") == {"userId": bob.id, "roomId": room_id}
        for each in (room_id, other_id):
            await staying.done("send_message", {"roomId": each, "content": "who is there"})
        await leaving.wait_for("new-message", lambda message: message["roomId"] == other_id)
        assert not leaving.events("new-message", lambda message: message["roomId"] == room_id)

    @pytest.mark.row("S08", "S09", "S13")
    @BOTH_NAMES
    async def test_send(
        self, alice: User, bob: User, new_room: NewRoom, connect: Connect, separator: str
    ) -> None:
        room_id = (await new_room(alice, bob))["_id"]
        sender, reader = await connect(alice, gateway=0), await connect(bob, gateway=1)
        message = {"roomId": room_id, "content": "as before", "messageType": "text"}
        await sender.emit(f"send{separator}message", message)
        for socket in (sender, reader):
            got = await socket.wait_for("new-message", lambda each: each["roomId"] == room_id)
            check_message(got)
            assert (got["messageId"], got["senderId"]) == (got["_id"], got["sender"])
            assert (got["sender"], got["content"], got["messageType"], got["imageUrl"]) == (
                alice.id,
                "as before",
                "text",
                None,
            )
            assert is_iso_date(got["createdAt"])

    @pytest.mark.row("S10")
    @BOTH_NAMES
    async def test_send_image(
        self, api: ApiClient, alice: User, new_room: NewRoom, connect: Connect, separator: str
    ) -> None:
        room_id = (await new_room(alice))["_id"]
        url = (await api.data("POST", "/upload/image", alice, status=201, files=picture()))["url"]
        socket = await connect(alice)
        event, message = f"send{separator}message", {"roomId": room_id, "messageType": "image", "content": ""}
        await socket.emit(event, {**message, "imageUrl": url})
        assert (await socket.wait_for("new-message"))["imageUrl"] == url
        await socket.emit(event, {**message, "imageUrl": "https://example.org/elsewhere.png"})
        assert (await socket.wait_for("error"))["code"] == "image_not_found"

    @pytest.mark.row("S11", "S12", "S19")
    @BOTH_NAMES
    @pytest.mark.parametrize(
        "fields", [{"content": "  "}, {"content": "a"} | {"messageType": "audio"}, {"messageType": "video"}]
    )
    async def test_refused_messages(
        self, alice: User, new_room: NewRoom, connect: Connect, separator: str, fields: dict[str, str]
    ) -> None:
        room_id = (await new_room(alice))["_id"]
        socket = await connect(alice)
        await socket.emit(f"send{separator}message", {"roomId": room_id, **fields})
        error = await socket.wait_for("error")
        assert set(error) == {"message", "code"}
        assert error["code"] == "validation_failed"


@pytest.mark.row("S01", "S05", "S09", "H01")
async def test_an_application_of_the_original(
    chat_url: str, api: ApiClient, new_user: NewUser, new_room: NewRoom
) -> None:
    """A whole client in JavaScript: cookies, hyphens, bare ids, no acknowledgement."""
    node = shutil.which("node")
    assert node is not None, "node is missing; `make test` fetches it"
    user = await new_user()
    room_id = (await new_room(user))["_id"]
    path = f"/room/{room_id}/messages"
    first = await api.data("POST", path, user, status=201, json={"content": "first"})
    process = await asyncio.create_subprocess_exec(
        *(node, str(OLD_CLIENT), chat_url, user.username, user.password, room_id, "from an old client"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    seen = json.loads(output)
    assert (seen["me"], seen["rooms"], seen["total"]) == (user.id, [room_id], 1)
    assert seen["history"] == [first["_id"]]
    assert (seen["message"]["sender"], seen["message"]["messageType"]) == (user.id, "text")
    assert is_iso_date(seen["message"]["createdAt"])
    stored = (await api.data("GET", path, user))["messages"]
    assert [message["content"] for message in stored] == ["first", "from an old client"]
