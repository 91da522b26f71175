"""Tables in Markdown, and numbers as they stand in them."""

from collections.abc import Sequence
from math import isnan

MISSING = "-"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits, whole ones with their thousands set off."""
    if value is None or isnan(value):
        return MISSING
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    text = f"{value:.{digits}g}"
    return text if "e" not in text else f"{value:.4f}"


def times(value: float | None) -> str:
    """Return a ratio."""
    return MISSING if value is None else f"{value:.2f}x"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text, and whose others are figures."""
    if not rows:
        return "Not measured."
    ruler = [":--", *("--:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ruler, *rows))
