"""Images: which are accepted, and that nothing of them but their pixels is kept."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from chat_media.imaging import recoding
from chat_media.imaging.recoding import MAX_FRAMES, ImageRefused, Refusal, recode
from PIL import Image, ImageCms

MakePicture = Callable[..., bytes]

SCRIPT = b"<script>alert(1)</script>"
ZIP = b"PK\x03\x04" + b"evil.class" * 10
ORIENTATION, GPS = 0x0112, 0x8825


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def refused(content: bytes) -> Refusal:
    with pytest.raises(ImageRefused) as caught:
        recode(content)
    return caught.value.refusal


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file of these chunks."""
    parts = [
        struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack("!II5B", width, height, 8, 2, 0, 0, 0)


def animation(kind: str, size: tuple[int, int], frames: int, **options: Any) -> bytes:
    """Return an animation whose frames all differ."""
    images = [Image.new("RGB", size, (index * 97 % 256, index * 57 % 256, 99)) for index in range(frames)]
    buffer = BytesIO()
    options = {"lossless": True, **options} if kind == "WEBP" else options
    images[0].save(buffer, kind, save_all=True, append_images=images[1:], **options)
    return buffer.getvalue()


class TestAccepted:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
    def test_kinds(self, picture: MakePicture, kind: str) -> None:
        result = recode(picture(kind))
        image = opened(result.content)
        assert (result.content_type, result.width, result.height) == (f"image/{kind.lower()}", 32, 20)
        assert (image.format, image.size) == (kind, (32, 20))
        red, green, blue = image.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
        assert (red > 240, 150 < green < 180, blue < 15) == (True, True, True)

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
    def test_modes_of_png(self, mode: str) -> None:
        buffer = BytesIO()
        Image.new(mode, (8, 8), 1).save(buffer, "PNG")
        assert opened(recode(buffer.getvalue()).content).mode == mode

    @pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
    def test_modes_of_jpeg(self, mode: str) -> None:
        buffer = BytesIO()
        Image.new(mode, (8, 8)).save(buffer, "JPEG")
        assert opened(recode(buffer.getvalue()).content).mode in ("L", "RGB")

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
    def test_transparency_stays(self, kind: str) -> None:
        image = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
        image.putpixel((0, 0), (0, 0, 0, 0))
        buffer = BytesIO()
        image.save(buffer, kind)
        result = opened(recode(buffer.getvalue()).content).convert("RGBA")
        assert result.getpixel((0, 0))[3] == 0  # type: ignore[index]
        assert result.getpixel((7, 7))[3] == 255  # type: ignore[index]

    def test_several_pictures_in_one_jpeg(self, picture: MakePicture) -> None:
        other = opened(picture("JPEG", (16, 16)))
        mpo = picture("MPO", save_all=True, append_images=[other])
        result = recode(mpo)
        assert (result.content_type, result.width) == ("image/jpeg", 32)
        assert opened(result.content).format == "JPEG"

    def test_orientation_is_applied(self) -> None:
        image = Image.new("RGB", (40, 20), "black")
        image.paste("white", (0, 0, 20, 20))
        exif = Image.Exif()
        exif[ORIENTATION] = 6  # to be turned clockwise by 90 degrees
        buffer = BytesIO()
        image.save(buffer, "JPEG", exif=exif)
        result = opened(recode(buffer.getvalue()).content)
        assert result.size == (20, 40)
        assert result.convert("L").getpixel((10, 5)) > 200  # type: ignore[operator]
        assert not result.getexif()


class TestAnimation:
    @pytest.mark.parametrize("kind", ["GIF", "WEBP"])
    def test_stays_animated(self, kind: str) -> None:
        result = recode(animation(kind, (10, 10), 5, duration=[100, 200, 300, 100, 50], loop=3))
        image: Any = opened(result.content)
        durations = []
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            durations.append(image.info["duration"])
        assert durations == [100, 200, 300, 100, 50]
        assert image.info["loop"] == 3

    @pytest.mark.parametrize("kind", ["GIF", "WEBP"])
    def test_a_transparent_frame_does_not_show_the_one_before(self, kind: str) -> None:
        frames = [Image.new("RGBA", (20, 20), (0, 0, 0, 0)) for _ in range(4)]
        for index, frame in enumerate(frames):
            frame.paste((255, 0, 0, 255), (index * 5, 5, index * 5 + 5, 10))
        buffer = BytesIO()
        disposal = {"disposal": 2} if kind == "GIF" else {}
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=100, **disposal)
        image: Any = opened(recode(buffer.getvalue()).content)
        for index in range(4):
            image.seek(index)
            assert image.convert("RGBA").getbbox() == (index * 5, 5, index * 5 + 5, 10)

    @pytest.mark.parametrize("kind", ["GIF", "WEBP"])
    def test_most_frames(self, kind: str) -> None:
        image: Any = opened(recode(animation(kind, (4, 4), MAX_FRAMES)).content)
        assert image.n_frames == MAX_FRAMES

    @pytest.mark.parametrize("kind", ["GIF", "WEBP"])
    def test_too_many_frames(self, kind: str) -> None:
        assert refused(animation(kind, (4, 4), MAX_FRAMES + 1)) == Refusal.TOO_LARGE

    @pytest.mark.parametrize("kind", ["GIF", "WEBP"])
    def test_too_many_pixels_in_all(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        monkeypatch.setattr(recoding, "MAX_ANIMATION_PIXELS", 1000)
        recode(animation(kind, (10, 10), 10))
        assert refused(animation(kind, (10, 10), 11)) == Refusal.TOO_LARGE

    def test_frame_outside_of_the_canvas(self, picture: MakePicture) -> None:
        gif = bytearray(picture("GIF"))
        place = gif.index(b",", 13 + 3 * 256) if gif[10] & 7 == 7 else gif.index(b",", 13)
        gif[place + 5 : place + 9] = struct.pack("<HH", 60_000, 60_000)
        assert refused(bytes(gif)) == Refusal.TOO_LARGE


class TestAvatar:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
    def test_is_small(self, picture: MakePicture, kind: str) -> None:
        result = recode(picture(kind, (2000, 1000)), 512)
        assert opened(result.content).size == (result.width, result.height) == (512, 256)

    def test_is_not_enlarged(self, picture: MakePicture) -> None:
        assert recode(picture(), 512).width == 32

    def test_is_still(self) -> None:
        result = recode(animation("GIF", (10, 10), 5), 512)
        assert result.content_type == "image/png"
        assert getattr(opened(result.content), "n_frames", 1) == 1


class TestNothingElseIsKept:
    def test_exif_xmp_comment_and_profile(self) -> None:
        exif = Image.Exif()
        exif.get_ifd(GPS).update({1: "N", 2: (48.0, 8.0, 14.0)})
        exif[0x010F] = "Secret Camera"
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        for kind in ("JPEG", "PNG", "WEBP"):
            buffer = BytesIO()
            options = {"comment": b"Secret comment"} if kind == "JPEG" else {}
            Image.new("RGB", (8, 8)).save(
                buffer, kind, exif=exif, xmp=b"<x:xmpmeta>Secret</x:xmpmeta>", icc_profile=profile, **options
            )
            before = opened(buffer.getvalue())
            assert before.getexif().get_ifd(GPS), kind
            assert "icc_profile" in before.info, kind
            after = opened(recode(buffer.getvalue()).content)
            assert not after.getexif(), kind
            assert not {"icc_profile", "xmp", "exif", "comment"} & set(after.info), kind
            assert b"Secret" not in recode(buffer.getvalue()).content, kind

    def test_comment_of_a_gif(self, picture: MakePicture) -> None:
        gif = picture("GIF", comment=SCRIPT)
        assert SCRIPT in gif
        assert SCRIPT not in recode(gif).content

    def test_comment_of_an_animation(self) -> None:
        gif = animation("GIF", (8, 8), 3, comment=SCRIPT)
        assert SCRIPT in gif
        assert SCRIPT not in recode(gif).content

    def test_text_chunks_of_a_png(self, picture: MakePicture) -> None:
        whole = picture()
        text = png((b"tEXt", b"Comment\0" + SCRIPT))[8:]
        spiked = whole[:33] + text + whole[33:]
        assert opened(spiked).info["Comment"] == SCRIPT.decode()
        assert SCRIPT not in recode(spiked).content

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
    @pytest.mark.parametrize("tail", [SCRIPT, ZIP])
    def test_other_files_behind_the_image(self, picture: MakePicture, kind: str, tail: bytes) -> None:
        result = recode(picture(kind) + tail)
        assert tail[:8] not in result.content


class TestRefused:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"plain text",
            b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
            b"<!doctype html><html>" + SCRIPT,
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
            b"8BPS\0\1" + bytes(6) + struct.pack("!HIIHH", 3, 30000, 30000, 8, 3) + bytes(64),
            b"\xd7\xcd\xc6\x9a" + bytes(64),
            SCRIPT + b"\x89PNG\r\n\x1a\n",
        ],
        ids=["empty", "text", "svg", "html", "pdf", "eps", "psd", "wmf", "html before png"],
    )
    def test_not_an_accepted_kind(self, content: bytes) -> None:
        assert refused(content) == Refusal.UNSUPPORTED

    @pytest.mark.parametrize("kind", ["TIFF", "BMP", "ICO", "PPM", "TGA", "PDF", "EPS", "JPEG2000"])
    def test_other_kinds_of_images(self, picture: MakePicture, kind: str) -> None:
        assert refused(picture(kind)) == Refusal.UNSUPPORTED

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
    def test_cut_off(self, kind: str) -> None:
        buffer = BytesIO()
        Image.effect_noise((100, 100), 80).convert("RGB").save(buffer, kind)
        assert refused(buffer.getvalue()[: len(buffer.getvalue()) // 2]) == Refusal.BROKEN

    def test_damaged(self, picture: MakePicture) -> None:
        content = bytearray(picture())
        content[45] ^= 0xFF
        assert refused(bytes(content)) == Refusal.BROKEN

    @pytest.mark.parametrize("size", [(50_000, 50_000), (5001, 5000), (2**31 - 1, 1)])
    def test_too_many_pixels(self, size: tuple[int, int]) -> None:
        bomb = png(header(*size), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
        assert refused(bomb) == Refusal.TOO_LARGE

    def test_text_that_unpacks_without_end(self) -> None:
        bomb = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
        content = png(header(1, 1), (b"zTXt", bomb), (b"IDAT", zlib.compress(bytes(4))), (b"IEND", b""))
        assert refused(content) == Refusal.BROKEN
