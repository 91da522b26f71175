"""The rules of media."""

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from chat_media.domain.content_types import UNKNOWN, served_type
from chat_media.domain.files import MAX_ROOMS, MediaFile, RoomStanding, any_lets_in
from chat_media.domain.links import MAX_LINK_SECONDS, Link, LinkSigner
from chat_media.domain.names import MAX_NAME_LENGTH, content_disposition, display_name, image_name
from chat_media.domain.ranges import Span, names_etag, requested_span
from chat_media.errors import RangeNotSatisfiable

FILE = MediaFile(
    id="a" * 24,
    owner_id="b" * 24,
    kind="image",
    content_type="image/png",
    size=10,
    name="x.png",
    store="gridfs",
    store_key="a" * 24,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
OWNER, STRANGER, ROOM, OTHER_ROOM = "b" * 24, "c" * 24, "d" * 24, "e" * 24


class TestDisplayName:
    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            ("report.pdf", "report.pdf"),
            ("Grüße 世界.txt", "Grüße 世界.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\plan.doc", "plan.doc"),
            ("/abs/..", "file"),
            ("nul\0l.png", "null.png"),
            ("invoice\u202egpj.exe", "invoicegpj.exe"),
            ("a\r\nSet-Cookie: b=c", "a Set-Cookie: b=c"),
            ("\ud800x.txt", "x.txt"),
            ("  spaces   and.dots. ", "spaces and.dots"),
            ("", "file"),
            (None, "file"),
            ("...", "file"),
            (".hidden", "hidden"),
        ],
    )
    def test_names(self, sent: str | None, shown: str) -> None:
        assert display_name(sent) == shown

    @pytest.mark.parametrize("sent", ["x" * 4096 + ".pdf", "x" * 4096, "a." + "y" * 4096])
    def test_is_bounded(self, sent: str) -> None:
        assert len(display_name(sent)) == MAX_NAME_LENGTH

    def test_keeps_the_extension_of_a_long_name(self) -> None:
        assert display_name("x" * 4096 + ".pdf").endswith("x.pdf")

    def test_has_no_control_characters(self) -> None:
        every = "".join(chr(code) for code in range(0x3000))
        assert not any(unicodedata.category(character).startswith("C") for character in display_name(every))


class TestImageName:
    @pytest.mark.parametrize(
        ("sent", "shown"),
        [("page.html", "page.png"), ("photo.PNG", "photo.png"), ("photo", "photo.png"), (None, "image.png")],
    )
    def test_extension_is_of_the_content(self, sent: str | None, shown: str) -> None:
        assert image_name(sent, "image/png") == shown


class TestContentDisposition:
    def test_is_ascii_without_separators(self) -> None:
        header = content_disposition("attachment", 'a"; filename=evil.html; x="世\r\n')
        assert header == (
            "attachment; filename*=UTF-8''a%22%3B%20filename%3Devil.html%3B%20x%3D%22%E4%B8%96%0D%0A"
        )


class TestServedType:
    @pytest.mark.parametrize("sent", ["application/pdf", "Text/Plain; charset=utf-8", "video/mp4"])
    def test_harmless(self, sent: str) -> None:
        assert served_type(sent) == sent.partition(";")[0].lower()

    @pytest.mark.parametrize(
        "sent",
        ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript", "x", "", None],
    )
    def test_everything_else_is_bytes(self, sent: str | None) -> None:
        assert served_type(sent) == UNKNOWN


class TestMayBeShownIn:
    def test_own_file(self) -> None:
        assert FILE.may_be_shown_in(ROOM, OWNER)

    def test_somebody_elses_file(self) -> None:
        assert not FILE.may_be_shown_in(ROOM, STRANGER)

    def test_somebody_elses_file_that_the_room_has_seen(self) -> None:
        shown = replace(FILE, room_ids=(ROOM,))
        assert shown.may_be_shown_in(ROOM, STRANGER)
        assert not shown.may_be_shown_in(OTHER_ROOM, STRANGER)

    def test_avatar(self) -> None:
        assert not replace(FILE, kind="avatar").may_be_shown_in(ROOM, OWNER)

    def test_rooms_are_bounded(self) -> None:
        everywhere = replace(FILE, room_ids=tuple(f"{number:024x}" for number in range(MAX_ROOMS)))
        assert not everywhere.may_be_shown_in(ROOM, OWNER)
        assert everywhere.may_be_shown_in(everywhere.room_ids[0], OWNER)


class TestAnyLetsIn:
    @pytest.mark.parametrize(
        ("is_member", "is_public", "lets_in"),
        [(True, False, True), (False, True, True), (True, True, True), (False, False, False)],
    )
    def test_one_room(self, is_member: bool, is_public: bool, lets_in: bool) -> None:
        assert any_lets_in([RoomStanding(is_member, is_public)]) is lets_in

    def test_one_of_many_is_enough(self) -> None:
        assert any_lets_in([RoomStanding(False, False), RoomStanding(True, False)])
        assert not any_lets_in([])


class TestRequestedSpan:
    @pytest.mark.parametrize(
        ("header", "span"),
        [
            ("bytes=0-0", Span(0, 1)),
            ("bytes=2-5", Span(2, 6)),
            ("bytes=7-", Span(7, 10)),
            ("bytes=-3", Span(7, 10)),
            ("bytes=-99", Span(0, 10)),
            ("bytes=5-999999", Span(5, 10)),
            ("bytes= 1-2", Span(1, 3)),
        ],
    )
    def test_one_range(self, header: str, span: Span) -> None:
        assert requested_span(header, 10) == span

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=" + ",".join(f"{i}-{i}" for i in range(1000)),
            "bytes=" + "9" * 400 + "-",
            "bytes=٣-٤",
        ],
    )
    def test_the_whole_file(self, header: str | None) -> None:
        assert requested_span(header, 10) is None

    @pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=999999999999999-"])
    def test_behind_the_end(self, header: str) -> None:
        with pytest.raises(RangeNotSatisfiable):
            requested_span(header, 10)


class TestNamesEtag:
    @pytest.mark.parametrize("header", ['"a"', 'W/"a"', '"x", "a"', "*", ' W/"x" , W/"a" '])
    def test_matches(self, header: str) -> None:
        assert names_etag(header, '"a"')

    @pytest.mark.parametrize("header", [None, "", '"b"', "a", '"aa"'])
    def test_does_not_match(self, header: str | None) -> None:
        assert not names_etag(header, '"a"')


class TestLinkSigner:
    NOW = 1_800_000_000.0
    SIGNER = LinkSigner("k" * 32, 600)

    def test_valid_until_it_expires(self) -> None:
        link = self.SIGNER.sign(FILE.id, self.NOW)
        assert self.SIGNER.is_valid(FILE.id, link, self.NOW + 599)
        assert not self.SIGNER.is_valid(FILE.id, link, self.NOW + 600)

    def test_only_for_its_file(self) -> None:
        assert not self.SIGNER.is_valid("f" * 24, self.SIGNER.sign(FILE.id, self.NOW), self.NOW)

    def test_only_with_its_key(self) -> None:
        link = LinkSigner("j" * 32, 600).sign(FILE.id, self.NOW)
        assert not self.SIGNER.is_valid(FILE.id, link, self.NOW)

    @pytest.mark.parametrize("expires", ["9999999999", "", "-1", "1e9", "١٨٠٠٠٠٠٥٠٠", " 1800000500"])
    def test_altered_expiry(self, expires: str) -> None:
        link = replace(self.SIGNER.sign(FILE.id, self.NOW), expires=expires)
        assert not self.SIGNER.is_valid(FILE.id, link, self.NOW)

    @pytest.mark.parametrize("signature", ["", "x", "ü", "\ud800"])
    def test_altered_signature(self, signature: str) -> None:
        link = Link(self.SIGNER.sign(FILE.id, self.NOW).expires, signature)
        assert not self.SIGNER.is_valid(FILE.id, link, self.NOW)

    def test_no_link_lives_longer_than_an_hour(self) -> None:
        link = LinkSigner("k" * 32, MAX_LINK_SECONDS + 60).sign(FILE.id, self.NOW)
        assert not self.SIGNER.is_valid(FILE.id, link, self.NOW)
