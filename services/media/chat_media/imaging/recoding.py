"""Decodes an image and encodes it anew, so that nothing of the upload but its pixels is kept.

What hides beside the pixels does not survive: EXIF with places, XMP, colour profiles, comments, and bytes
of another format before, between or behind the image's own.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from typing import Any

from PIL import GifImagePlugin, Image, ImageOps, ImageSequence, UnidentifiedImageError

MAX_PIXELS = 25_000_000
MAX_FRAMES = 200
#: Pixels of all frames together; they are all in memory when an animation is encoded.
MAX_ANIMATION_PIXELS = 50_000_000

#: No other decoder ever sees the bytes, whatever a file is called.
_DECODERS = ("JPEG", "PNG", "GIF", "WEBP")
_CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}
_MODES = {
    "JPEG": ("L", "RGB"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "GIF": ("L", "P", "RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 85, "progressive": True},
    "PNG": {"compress_level": 4},
    "GIF": {},
    "WEBP": {"quality": 85, "method": 2},
}
GIF_CLEAR_BEFORE_NEXT = 2
#: What belongs to the picture itself.
_KEPT_INFO = ("transparency", "duration")

# Frames keep their palettes where they can, instead of being dithered anew.
GifImagePlugin.LOADING_STRATEGY = GifImagePlugin.LoadingStrategy.RGB_AFTER_DIFFERENT_PALETTE_ONLY
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class Refusal(StrEnum):
    """Why an image is not accepted."""

    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    BROKEN = "broken"


class ImageRefused(Exception):
    """This image is not accepted."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that we encoded ourselves."""

    content: bytes
    content_type: str
    width: int
    height: int


def recode(content: bytes, max_side: int = 0) -> Picture:
    """Return the image in `content`, encoded anew; an animated GIF or WEBP stays animated.

    Args:
        max_side: greatest width and height of a still preview; 0 keeps size and animation.

    Raises:
        ImageRefused: it is no image of an accepted kind, damaged, or too large to work on.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _recode(content, max_side)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise ImageRefused(Refusal.TOO_LARGE) from None
    except UnidentifiedImageError:
        raise ImageRefused(Refusal.UNSUPPORTED) from None
    except ImageRefused:
        raise
    except Exception as error:
        # Decoders fail in many ways on damaged data: OSError, ValueError, SyntaxError, struct.error, …
        raise ImageRefused(Refusal.BROKEN) from error


def _recode(content: bytes, max_side: int) -> Picture:
    with Image.open(BytesIO(content), formats=_DECODERS) as probe:
        _check_size(probe)
        probe.verify()
    with Image.open(BytesIO(content), formats=_DECODERS) as image:
        # A JPEG that holds several pictures (iPhones write such) is MPO to Pillow; its first one is a JPEG.
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        if max_side:
            return _encode_still(_shrunk(_upright(image), max_side), "PNG" if kind == "GIF" else kind)
        if kind in ("GIF", "WEBP") and getattr(image, "is_animated", False):
            return _encode_animation(image, kind)
        return _encode_still(_upright(image), kind)


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageRefused(Refusal.TOO_LARGE)


def _upright(image: Image.Image) -> Image.Image:
    """Return the first frame, turned as its EXIF orientation says."""
    return ImageOps.exif_transpose(image)


def _shrunk(image: Image.Image, max_side: int) -> Image.Image:
    colours = "RGBA" if image.has_transparency_data else "RGB"
    image = image.convert(colours)
    image.thumbnail((max_side, max_side))
    return image


def _encode_still(image: Image.Image, kind: str) -> Picture:
    return _encode([_clean(image, kind)], kind)


def _encode_animation(image: Image.Image, kind: str) -> Picture:
    loop = image.info.get("loop")
    frames = [_clean(frame, kind) for frame in _bounded_frames(image)]
    durations = [frame.info.get("duration", 0) for frame in frames]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": durations}
    if kind == "GIF" and any(frame.has_transparency_data for frame in frames):
        # Each frame is a whole picture now; where it is transparent the one before must not shine through.
        options["disposal"] = GIF_CLEAR_BEFORE_NEXT
    return _encode(frames, kind, **options, **({} if loop is None else {"loop": loop}))


def _bounded_frames(image: Image.Image) -> Iterator[Image.Image]:
    """Yield frame by frame and stop at the caps: counting first would mean to walk through a whole bomb."""
    pixels = 0
    for index, frame in enumerate(ImageSequence.Iterator(image)):
        # A frame of a GIF can make the canvas larger.
        _check_size(frame)
        pixels += frame.width * frame.height
        if index >= MAX_FRAMES or pixels > MAX_ANIMATION_PIXELS:
            raise ImageRefused(Refusal.TOO_LARGE)
        yield frame


def _clean(image: Image.Image, kind: str) -> Image.Image:
    """Return a copy that carries pixels only, in a mode that the format can hold."""
    clean = image.copy() if image.mode in _MODES[kind] else image.convert(_nearest_mode(image, kind))
    clean.info = {key: value for key, value in clean.info.items() if key in _KEPT_INFO}
    return clean


def _nearest_mode(image: Image.Image, kind: str) -> str:
    if kind == "JPEG":
        return "RGB"
    return "RGBA" if image.has_transparency_data else "RGB"


def _encode(frames: list[Image.Image], kind: str, **options: Any) -> Picture:
    output = BytesIO()
    frames[0].save(output, kind, **_OPTIONS[kind], **options)
    return Picture(output.getvalue(), _CONTENT_TYPES[kind], frames[0].width, frames[0].height)
