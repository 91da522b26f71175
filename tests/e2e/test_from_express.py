"""Row by row what docs/from-express.md says of clients and settings of the Express original."""

import re
import secrets
import time
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import chat_auth.settings
import chat_media.settings
import chat_shared.settings
import jwt
import pytest
from chat_local.cli import app
from chat_shared.testing import (
    OWN_USER_FIELDS,
    PASSWORD,
    ApiClient,
    NewRoom,
    NewUser,
    User,
    problem_body,
    response_cookies,
    success_body,
)
from PIL import Image
from typer.main import get_command

PAGE = Path(__file__).parents[2] / "docs" / "from-express.md"
ROW = re.compile(r"^\| ([A-Z]\d\d) \|", re.M)
MARK = re.compile(r"mark\.row\((.*?)\)")
ID = re.compile(r"[A-Z]\d\d")


def test_each_row_has_a_test_and_each_test_a_row() -> None:
    on_page = ROW.findall(PAGE.read_text())
    assert len(on_page) == len(set(on_page)), "an id is there twice"
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_from_express*.py"))
    assert set(on_page) == set(ID.findall(" ".join(MARK.findall(tests))))


def registration(**fields: Any) -> dict[str, Any]:
    """Return what a client of the original registers with."""
    name = f"old_{secrets.token_hex(5)}"
    names = {"firstname": "Ada", "lastname": "Lovelace"}
    return {"username": name, "email": f"{name}@example.org", "password": PASSWORD, **names, **fields}


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


class TestEnvironment:
    """Variables of the original."""

    @pytest.fixture(autouse=True)
    def _secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CHAT_SERVICE_TOKEN", "CHAT_MEDIA_URL_KEY"):
            monkeypatch.setenv(name, secrets.token_urlsafe(32))
        monkeypatch.setenv("CHAT_MASTER_KEYS", f"k1:{secrets.token_hex(21)}A=")
        monkeypatch.setenv("CHAT_ENVIRONMENT", "development")

    @pytest.mark.row("E01")
    def test_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PORT", "5000")
        assert chat_shared.settings.ServiceSettings().port == 5000
        up = get_command(app).commands["up"]  # type: ignore[attr-defined]
        assert up.make_context("up", []).params["port"] == 5000

    @pytest.mark.row("E02")
    @pytest.mark.parametrize("name", ["MONGO_URI", "MONGODB_URI"])
    def test_mongo(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv(name, "mongodb://db.example/old")
        assert chat_shared.settings.ServiceSettings().mongo_url == "mongodb://db.example/old"
        monkeypatch.setenv("CHAT_MONGO_URL", "mongodb://other.example/")
        assert chat_shared.settings.ServiceSettings().mongo_url == "mongodb://other.example/"

    @pytest.mark.row("E03", "E05", "E08")
    @pytest.mark.parametrize("name", ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET", "NODE_ENV"])
    def test_not_read(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        before = chat_auth.settings.Settings().model_dump()
        monkeypatch.setenv(name, "development-or-a-secret")
        assert chat_auth.settings.Settings().model_dump() == before

    @pytest.mark.row("E04", "E06")
    def test_lives_of_tokens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACCESS_TOKEN_EXPIRY", "1d")
        monkeypatch.setenv("REFRESH_TOKEN_EXPIRY", "7d")
        settings = chat_auth.settings.Settings()
        assert (settings.access_token_seconds, settings.refresh_idle_seconds) == (86_400, 7 * 86_400)

    @pytest.mark.row("E07")
    def test_cloudinary(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CLOUD_NAME", "API_KEY", "API_SECRET"):
            monkeypatch.setenv(f"CLOUDINARY_{name}", f"old-{name}")
        settings = chat_media.settings.Settings()
        assert settings.cloudinary_cloud_name == "old-CLOUD_NAME"


class TestEndpoints:
    """The thirteen endpoints."""

    @pytest.mark.row("R01")
    async def test_register(self, api: ApiClient) -> None:
        body = registration(avatarUrl="https://res.cloudinary.com/demo/ada.png")
        account = await api.data("POST", "/auth/register", status=201, json=body)
        assert set(account) == OWN_USER_FIELDS
        assert {name: account[name] for name in body if name != "password"} == {
            name: value for name, value in body.items() if name != "password"
        }
        assert account["isOnline"] is False
        await api.refused("POST", "/auth/register", status=409, code="account_taken", json=body)
        weak = registration(password="password1")
        await api.refused("POST", "/auth/register", status=400, code="validation_failed", json=weak)

    @pytest.mark.row("R02")
    @pytest.mark.parametrize("field", ["username", "email"])
    async def test_log_in(self, api: ApiClient, alice: User, field: str) -> None:
        body = {field: getattr(alice, field), "password": alice.password}
        response = await api.send("POST", "/auth/login", json=body)
        data = success_body(response)["data"]
        assert data["user"]["_id"] == alice.id
        assert "password" not in data["user"]
        cookies = response_cookies(response)
        assert cookies["accessToken"].value == data["accessToken"]
        assert "refreshToken" in cookies

    @pytest.mark.row("R03")
    async def test_log_in_as_nobody(self, api: ApiClient) -> None:
        body = {"username": "nobody_at_all", "password": PASSWORD}
        await api.refused("POST", "/auth/login", status=401, code="wrong_credentials", json=body)

    @pytest.mark.row("R04")
    async def test_log_out(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        response = await api.send("POST", "/auth/logout", cookies={"accessToken": user.access_token})
        assert success_body(response)["data"] is None
        cookies = response_cookies(response)
        assert [cookies[name].value for name in ("accessToken", "refreshToken")] == ["", ""]

    @pytest.mark.row("R05", "H04")
    @pytest.mark.parametrize("carrier", ["cookie", "header"])
    async def test_refresh(self, api: ApiClient, new_user: NewUser, carrier: str) -> None:
        user = await new_user()
        carriers: dict[str, dict[str, Any]] = {
            "cookie": {"cookies": {"refreshToken": user.refresh_token}},
            "header": {"headers": {"x-refresh-token": user.refresh_token}},
        }
        response = await api.send("POST", "/auth/refreshToken", **carriers[carrier])
        data = success_body(response)["data"]
        assert set(data) == {"accessToken", "refreshToken", "expiresIn"}
        assert data["refreshToken"] != user.refresh_token
        cookies = response_cookies(response)
        assert {name: cookies[name].value for name in cookies} == {
            name: data[name] for name in ("accessToken", "refreshToken")
        }

    @pytest.mark.row("R06")
    @pytest.mark.parametrize("path", ["/room/", "/room"])
    async def test_create_room(self, api: ApiClient, alice: User, path: str) -> None:
        body = {"roomName": "Old friends", "roomType": "private", "description": "as before"}
        room = await api.data("POST", path, alice, status=201, json=body)
        assert {name: room[name] for name in body} == body
        assert (room["createdBy"], room["members"]) == (alice.id, [alice.id])

    @pytest.mark.row("R07")
    async def test_join_room(
        self, api: ApiClient, alice: User, bob: User, carol: User, new_room: NewRoom
    ) -> None:
        room, private = await new_room(alice), await new_room(alice, roomType="private")
        joined = await api.data("POST", f"/room/{room['_id']}/join", bob)
        assert joined["members"] == [alice.id, bob.id]
        path = f"/room/{room['_id']}/join"
        await api.refused("POST", path, bob, status=409, code="already_member")
        path = f"/room/{private['_id']}/join"
        await api.refused("POST", path, carol, status=404, code="room_not_found")

    @pytest.mark.row("R08")
    async def test_update_room(self, api: ApiClient, alice: User, bob: User, new_room: NewRoom) -> None:
        room = await new_room(alice, bob)
        body = {"roomName": "Another name", "description": "and purpose"}
        updated = await api.data("PATCH", f"/room/{room['_id']}", alice, json=body)
        assert {name: updated[name] for name in body} == body
        path = f"/room/{room['_id']}"
        await api.refused("PATCH", path, bob, status=403, code="role_too_low", json=body)

    @pytest.mark.row("R09")
    async def test_leave_room(self, api: ApiClient, alice: User, bob: User, new_room: NewRoom) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['_id']}"
        await api.call("DELETE", f"{path}/members", alice)
        shown = await api.data("GET", path, bob)
        assert (shown["createdBy"], shown["members"]) == (bob.id, [bob.id])
        await api.refused("DELETE", f"{path}/members", alice, status=403, code="not_a_member")
        await api.call("DELETE", path, bob)
        await api.refused("GET", path, bob, status=404, code="room_not_found")

    @pytest.mark.row("R10", "A01")
    async def test_my_rooms(self, api: ApiClient, new_user: NewUser, new_room: NewRoom) -> None:
        user = await new_user()
        rooms = {(await new_room(user))["_id"] for _ in range(3)}
        body = await api.call("GET", "/room?limit=2", user)
        assert set(body) == {"statusCode", "data", "message", "success", "meta"}
        rest = await api.call("GET", f"/room?after={body['meta']['next']}", user)
        assert {room["_id"] for room in body["data"] + rest["data"]} == rooms
        first = body["data"][0]
        named = await api.data("GET", f"/users?ids={first['createdBy']},{first['members'][0]}", user)
        assert named[0]["username"] == user.username

    @pytest.mark.row("R11")
    async def test_one_room(self, api: ApiClient, alice: User, bob: User, new_room: NewRoom) -> None:
        room, private = await new_room(alice), await new_room(alice, roomType="private")
        shown = await api.data("GET", f"/room/{room['_id']}", bob)
        assert shown["roomName"] == room["roomName"]
        await api.refused("GET", f"/room/{private['_id']}", bob, status=404, code="room_not_found")

    @pytest.mark.row("R12")
    async def test_public_rooms(self, api: ApiClient, alice: User, new_room: NewRoom) -> None:
        room, private = await new_room(alice), await new_room(alice, roomType="private")
        found = [shown["_id"] for shown in await api.data("GET", "/room/public")]
        assert found[0] == room["_id"]
        assert private["_id"] not in found

    @pytest.mark.row("R13")
    async def test_messages(self, api: ApiClient, alice: User, new_room: NewRoom) -> None:
        path = f"/room/{(await new_room(alice))['_id']}/messages"
        for number in range(5):
            await api.call("POST", path, alice, status=201, json={"content": str(number)})
        newest = await api.data("GET", f"{path}?limit=2", alice)
        assert (newest["totalMessage"], [m["content"] for m in newest["messages"]]) == (5, ["3", "4"])
        second = await api.data("GET", f"{path}?after=0&limit=2&skip=2", alice)
        assert [m["content"] for m in second["messages"]] == ["2", "3"]
        assert second["messages"][0]["sender"] == alice.id
        await api.refused("GET", f"{path}?limit=101", alice, status=400, code="validation_failed")

    @pytest.mark.row("R14")
    async def test_upload(self, api: ApiClient, alice: User) -> None:
        data = await api.data("POST", "/upload/image", alice, status=201, files=picture())
        shown = await api.http.get(data["url"], headers=alice.headers)
        assert shown.status_code == 200


class TestAnswers:
    """What every answer has in common."""

    @pytest.mark.row("A02")
    async def test_failure(self, api: ApiClient) -> None:
        body = (await api.send("GET", "/room")).json()
        assert (body["statusCode"], body["success"], body["data"]) == (401, False, None)
        assert isinstance(body["message"], str)
        assert body["errors"] == []

    @pytest.mark.row("A03")
    async def test_codes(self, api: ApiClient, alice: User, bob: User, new_room: NewRoom) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['_id']}"
        bad = problem_body(await api.send("POST", "/room", alice, json={"roomName": "x"}))
        assert (bad.status, [error.field for error in bad.errors]) == (400, ["roomName"])
        statuses = [
            (await api.send(*request)).status_code
            for request in (
                ("GET", "/room"),
                ("DELETE", path, bob),
                ("GET", f"/room/{'0' * 24}", bob),
                ("POST", f"{path}/join", bob),
            )
        ]
        assert statuses == [401, 403, 404, 409]

    @pytest.mark.row("A04")
    async def test_ids_and_dates(self, alice: User, new_room: NewRoom) -> None:
        room = await new_room(alice)
        assert re.fullmatch(r"[0-9a-f]{24}", room["_id"])
        assert room["id"] == room["_id"]
        assert is_iso_date(room["createdAt"])
        assert is_iso_date(room["updatedAt"])

    @pytest.mark.row("A05")
    async def test_urlencoded(self, api: ApiClient, alice: User) -> None:
        login = {"username": alice.username, "password": alice.password}
        assert problem_body(await api.send("POST", "/auth/login", data=login)).status in (400, 415)
        assert problem_body(await api.send("POST", "/auth/register", data=registration())).status in (
            400,
            415,
        )

    @pytest.mark.row("A06")
    async def test_unknown_fields(self, api: ApiClient, alice: User) -> None:
        body = {"roomName": "With more", "roomAvatarUrl": "https://example.org/x.png"}
        problem = problem_body(await api.send("POST", "/room", alice, json=body))
        assert (problem.status, [error.field for error in problem.errors]) == (400, ["roomAvatarUrl"])


class TestCookiesAndHeaders:
    """What carries a session."""

    @pytest.mark.row("H01", "H02")
    async def test_cookies(self, api: ApiClient, alice: User) -> None:
        login = {"username": alice.username, "password": alice.password}
        cookies = response_cookies(await api.send("POST", "/auth/login", json=login))
        access, refresh = cookies["accessToken"], cookies["refreshToken"]
        assert (access["httponly"], refresh["httponly"]) == (True, True)
        assert (access["path"], refresh["path"]) == ("/", "/api/v1/auth")
        carried = {"accessToken": access.value}
        body = {"roomName": "By cookie"}
        room = await api.data("POST", "/room", status=201, cookies=carried, json=body)
        for path in ("/room", f"/room/{room['_id']}", f"/room/{room['_id']}/messages", "/auth/me"):
            await api.call("GET", path, cookies=carried)

    @pytest.mark.row("H03")
    async def test_bearer(self, api: ApiClient, alice: User) -> None:
        headers = {"Authorization": f"Bearer {alice.access_token}"}
        assert (await api.data("GET", "/auth/me", headers=headers))["_id"] == alice.id

    @pytest.mark.row("H05")
    async def test_old_tokens(self, api: ApiClient, alice: User) -> None:
        claims = {"userId": alice.id, "exp": int(time.time()) + 900}
        token = jwt.encode(claims, "a secret of the original, long enough", algorithm="HS256")
        for carrier in (
            {"headers": {"authorization": f"Bearer {token}"}},
            {"cookies": {"accessToken": token}},
        ):
            await api.refused("GET", "/room", status=401, code="unauthenticated", **carrier)
        cookies = {"refreshToken": token}
        path = "/auth/refreshToken"
        await api.refused("POST", path, status=401, code="invalid_refresh_token", cookies=cookies)

    @pytest.mark.row("H06")
    async def test_other_origins(
        self, api: ApiClient, alice: User, chat_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        carried = {"accessToken": alice.access_token}
        room = {"roomName": "From elsewhere"}
        foreign = {"origin": "https://app.example"}
        response = await api.send("POST", "/room", cookies=carried, json=room, headers=foreign)
        assert problem_body(response).code == "origin_refused"
        own = {"origin": chat_url}
        await api.call("POST", "/room", status=201, cookies=carried, json=room, headers=own)
        monkeypatch.setenv("CHAT_SERVICE_TOKEN", "any")
        monkeypatch.setenv("CHAT_ENVIRONMENT", "development")
        monkeypatch.setenv("CORS_ORIGIN", "https://app.example/")
        assert "https://app.example" in chat_shared.settings.ServiceSettings().origins
