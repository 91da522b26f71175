"""Text for terminals: nothing that comes from outside may steer one."""

from chat_local.console import say

# Holds the parts of an emoji together; does nothing else.
_ZERO_WIDTH_JOINER = "\u200d"


def printable(text: str) -> str:
    """Return text from outside without anything that would steer a terminal."""
    return "".join(
        character if character.isprintable() or character == _ZERO_WIDTH_JOINER else "?" for character in text
    )


def print_table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Print rows below a header, in columns as wide as they need."""
    lines = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
