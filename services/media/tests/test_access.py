"""Who may see what: five kinds of callers and four places of a file, in all combinations."""

import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio
from chat_shared.testing import ApiClient, User, problem_body

if TYPE_CHECKING:
    from conftest import Media

MakePicture = Callable[..., bytes]
NewPerson = Callable[[], Awaitable[User]]
StartMedia = Callable[..., AbstractAsyncContextManager["Media"]]

UNKNOWN = "0" * 24
CALLERS = ("nobody", "outsider", "member", "ex_member", "owner")
PLACES = ("private room", "public room", "no room", "avatar")

SEES = {
    "private room": {"member", "owner"},
    "public room": {"outsider", "member", "ex_member", "owner"},
    "no room": {"owner"},
    "avatar": set(CALLERS),
}
CELLS = list(itertools.product(CALLERS, PLACES))


@dataclass
class Cast:
    """Five callers and four files."""

    callers: dict[str, User | None]
    files: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cast(media: "Media", people: ApiClient, new_person: NewPerson, picture: MakePicture) -> Cast:
    owner, member, ex_member, outsider = [await new_person() for _ in range(4)]
    files = {
        "no room": (await media.image(owner, picture()))["mediaId"],
        "avatar": await media.avatar(owner, picture()),
    }
    for room_type in ("private", "public"):
        room = await _room(people, owner, room_type, member, ex_member)
        await people.data("DELETE", f"/room/{room}/members", ex_member)
        files[f"{room_type} room"] = (await media.image(owner, picture(), roomId=room))["mediaId"]
    callers = {
        "nobody": None,
        "outsider": outsider,
        "member": member,
        "ex_member": ex_member,
        "owner": owner,
    }
    return Cast(callers, files)


async def _room(people: ApiClient, owner: User, room_type: str, *members: User) -> str:
    body = {"roomName": "A room", "roomType": room_type}
    room = await people.data("POST", "/room", owner, status=201, json=body)
    for member in members:
        await people.data(
            "POST", f"/room/{room['id']}/members", owner, status=201, json={"userId": member.id}
        )
    return str(room["id"])


async def _answer_to_unknown(media: "Media", method: str, path: str, user: User | None) -> dict[str, Any]:
    headers = user.headers if user else {}
    response = await media.api.http.request(method, path.format(UNKNOWN), headers=headers)
    return _without_id(problem_body(response).model_dump(), UNKNOWN)


def _without_id(problem: dict[str, Any], media_id: str) -> dict[str, Any]:
    return {name: str(value).replace(media_id, "<id>") for name, value in problem.items()}


class TestMatrix:
    @pytest.mark.parametrize(("caller", "place"), CELLS)
    async def test_download(self, media: "Media", cast: Cast, caller: str, place: str) -> None:
        user, media_id = cast.callers[caller], cast.files[place]
        response = await media.get(media_id, user)
        if caller in SEES[place]:
            assert response.status_code == 200
        else:
            hidden = _without_id(problem_body(response).model_dump(), media_id)
            assert hidden == await _answer_to_unknown(media, "GET", "/media/{}", user)

    @pytest.mark.parametrize(("caller", "place"), CELLS)
    async def test_signed_link(self, media: "Media", cast: Cast, caller: str, place: str) -> None:
        user, path = cast.callers[caller], f"/media/{cast.files[place]}/link"
        if user is None:
            await media.api.refused("GET", path, status=401, code="unauthenticated")
        elif caller in SEES[place]:
            assert (await media.api.data("GET", path, user))["url"]
        else:
            await media.api.refused("GET", path, user, status=404, code="media_not_found")

    @pytest.mark.parametrize(("caller", "place"), [cell for cell in CELLS if cell[0] != "owner"])
    async def test_delete(self, media: "Media", cast: Cast, caller: str, place: str) -> None:
        user, path = cast.callers[caller], f"/media/{cast.files[place]}"
        if user is None:
            await media.api.refused("DELETE", path, status=401, code="unauthenticated")
        elif caller in SEES[place]:
            await media.api.refused("DELETE", path, user, status=403, code="not_media_owner")
        else:
            await media.api.refused("DELETE", path, user, status=404, code="media_not_found")


class TestToken:
    async def test_cookie(self, media: "Media", cast: Cast) -> None:
        member = cast.callers["member"]
        assert member
        cookie = f"accessToken={member.access_token}"
        response = await media.get(cast.files["private room"], cookie=cookie)
        assert response.status_code == 200

    @pytest.mark.parametrize("header", ["authorization", "cookie"])
    async def test_invalid(self, media: "Media", cast: Cast, header: str) -> None:
        value = "Bearer x.y.z" if header == "authorization" else "accessToken=x.y.z"
        answers = [
            problem_body(await media.get(media_id, **{header: value}))
            for media_id in (cast.files["private room"], cast.files["no room"], UNKNOWN)
        ]
        assert {answer.code for answer in answers} == {"unauthenticated"}

    async def test_stale_cookie_does_not_hide_what_is_public(self, media: "Media", cast: Cast) -> None:
        response = await media.get(cast.files["avatar"], cookie="accessToken=x.y.z")
        assert response.status_code == 200

    @pytest.mark.parametrize("media_id", ["x", "0" * 23, "0" * 25, "A" * 24, "../../etc", "%00"])
    async def test_malformed_id(self, media: "Media", alice: User, media_id: str) -> None:
        response = await media.api.http.get(f"/media/{media_id}", headers=alice.headers)
        assert problem_body(response).status in (400, 404)


class TestSignedLink:
    @pytest.fixture
    async def link(self, media: "Media", cast: Cast) -> str:
        """A link to a file of a private room, without scheme and host."""
        path = f"/media/{cast.files['private room']}/link"
        link = await media.api.data("GET", path, cast.callers["member"])
        url = urlsplit(link["url"])
        return f"{url.path}?{url.query}"

    async def test_opens_without_token(self, media: "Media", link: str) -> None:
        response = await media.api.http.get(link)
        assert response.status_code == 200
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"
        assert response.headers["cache-control"].startswith("private")

    async def test_lives_an_hour_at_most(self, media: "Media", cast: Cast, link: str) -> None:
        expires = int(dict(parse_qsl(urlsplit(link).query))["expires"])
        assert 3500 < expires - time.time() <= 3600

    @pytest.mark.parametrize(
        "changes",
        [
            {"expires": "1000000000"},
            {"expires": "9999999999"},
            {"signature": "A" * 43},
            {"signature": ""},
            {"expires": ""},
            {"expires": "1e9"},
        ],
    )
    async def test_altered(self, media: "Media", link: str, changes: dict[str, str]) -> None:
        url = urlsplit(link)
        query = urlencode({**dict(parse_qsl(url.query)), **changes})
        response = await media.api.http.get(f"{url.path}?{query}")
        assert problem_body(response).code == "media_not_found"

    async def test_for_another_file(self, media: "Media", cast: Cast, link: str) -> None:
        query = urlsplit(link).query
        response = await media.api.http.get(f"/media/{cast.files['no room']}?{query}")
        assert problem_body(response).code == "media_not_found"

    async def test_of_another_key(self, media: "Media", link: str, start_media: StartMedia) -> None:
        async with start_media(
            "media-95", CHAT_MEDIA_URL_KEY="another-key-of-many-characters-0123456"
        ) as other:
            assert problem_body(await other.api.http.get(link)).code == "media_not_found"

    async def test_invalid_link_of_somebody_with_a_token(self, media: "Media", cast: Cast, link: str) -> None:
        owner = cast.callers["owner"]
        assert owner
        response = await media.api.http.get(link[:-5] + "AAAAA", headers=owner.headers)
        assert response.status_code == 200


class TestMembershipEnds:
    async def test_removed_member_sees_it_no_more(
        self, media: "Media", people: ApiClient, alice: User, bob: User, picture: MakePicture
    ) -> None:
        room = await _room(people, alice, "private", bob)
        image = await media.image(alice, picture(), roomId=room)
        assert (await media.get(image["mediaId"], bob)).status_code == 200
        await people.data("DELETE", f"/room/{room}/members/{bob.id}", alice)
        assert (await media.get(image["mediaId"], bob)).status_code == 404


class TestRoomsAway:
    async def test_what_needs_no_room_still_works(
        self, start_media: StartMedia, people: ApiClient, cast: Cast, picture: MakePicture
    ) -> None:
        owner, member = cast.callers["owner"], cast.callers["member"]
        assert owner
        assert member
        room = await _room(people, owner, "private", member)
        async with start_media("media-96", CHAT_ROOMS_URLS="http://127.0.0.1:9") as media:
            problem = problem_body(await media.get(cast.files["private room"], member))
            assert (problem.status, problem.retryable) == (503, True)
            files = {"image": ("a.png", picture())}
            response = await media.api.send(
                "POST", "/upload/image", owner, files=files, data={"roomId": room}
            )
            assert problem_body(response).status == 503
            assert (await media.get(cast.files["private room"], owner)).status_code == 200
            assert (await media.get(cast.files["avatar"])).status_code == 200
            await media.image(owner, picture())


class TestAuthAway:
    async def test_avatars_and_links_still_work(
        self, media: "Media", start_media: StartMedia, cast: Cast
    ) -> None:
        path = f"/media/{cast.files['private room']}/link"
        link = urlsplit((await media.api.data("GET", path, cast.callers["owner"]))["url"])
        async with start_media("media-96", CHAT_AUTH_URLS="http://127.0.0.1:9") as alone:
            assert (await alone.get(cast.files["avatar"])).status_code == 200
            assert (await alone.api.http.get(f"{link.path}?{link.query}")).status_code == 200
            problem = problem_body(await alone.get(cast.files["private room"], cast.callers["owner"]))
            assert (problem.status, problem.retryable) == (503, True)
