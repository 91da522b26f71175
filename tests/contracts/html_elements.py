"""The elements of an HTML text, for tests."""

from dataclasses import dataclass
from html.parser import HTMLParser


@dataclass(frozen=True)
class Element:
    """A start tag, and the text up to the next tag."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.found:
            last = self.found[-1]
            self.found[-1] = Element(last.tag, last.attributes, last.text + data)


def elements(html: str) -> list[Element]:
    """Return all elements in their order."""
    parser = _Parser()
    # A Markup would escape what the parser puts together.
    parser.feed(str(html))
    parser.close()
    return parser.found
