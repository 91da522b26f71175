"""The Markdown files of docs/ as pages of the site."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from docs_site.anchors import Anchors
from docs_site.html_rules import StrictRenderer
from docs_site.links import InRepository, OnSite, resolve


@dataclass(frozen=True)
class Heading:
    """A heading that can be linked to."""

    level: int
    text: str
    anchor: str


@dataclass(frozen=True)
class Page:
    """A rendered file. `opening` ends with the title, `body` is what follows."""

    title: str
    headings: tuple[Heading, ...]
    opening: Markup
    body: Markup

    @property
    def sections(self) -> list[Heading]:
        """Return the headings of the second level."""
        return [heading for heading in self.headings if heading.level == 2]


class Markdown:
    """Renders Markdown; what it returns contains no HTML of the author.

    Args:
        addresses: by its path in the repository, the address of each page of the site.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses
        # With "html", raw HTML becomes tokens of its own, which the renderer shows as text.
        parser = MarkdownIt("commonmark", {"html": True}, renderer_cls=StrictRenderer)
        self._parser = parser.enable(["table", "strikethrough"])

    def page(self, path: str, text: str) -> Page:
        """Return the file with this path in the repository as a page.

        Raises:
            ValueError: the file has no heading of the first level.
        """
        tokens = self._parser.parse(text)
        headings = tuple(_name_headings(tokens))
        end = next(
            (at for at, token in enumerate(tokens, 1) if token.type == "heading_close" and token.tag == "h1"),
            0,
        )
        if not end:
            raise ValueError(f"{path} has no title: a line that begins with `# `")
        title = next(heading.text for heading in headings if heading.level == 1)
        _name_boxes(tokens, title)
        _mend_cells(tokens)
        return Page(title, headings, self._render(tokens[:end], path), self._render(tokens[end:], path))

    def inline(self, text: str) -> Markup:
        """Return a description of a contract, without a paragraph around it."""
        return self._render(self._parser.parseInline(" ".join(text.split())), "docs/events.html")

    def _render(self, tokens: Sequence[Token], path: str) -> Markup:
        for token in tokens:
            if token.children:
                token.children = list(self._mend_links(token.children, path))
        # Safe: the parser escapes text and attributes, StrictRenderer all the rest.
        return Markup(self._parser.renderer.render(tokens, self._parser.options, {}))  # noqa: S704

    def _mend_links(self, children: Sequence[Token], page: str) -> Iterator[Token]:
        endings: list[Sequence[Token]] = []
        for at, token in enumerate(children):
            if token.type == "image":
                yield from (_text_token(token.content), *_where(str(token.attrGet("src")), page))
            elif token.type == "link_open":
                href = str(token.attrGet("href"))
                target = resolve(href, page, self._addresses)
                if isinstance(target, OnSite):
                    token.attrSet("href", target.href)
                    yield token
                    endings.append([Token("link_close", "a", -1)])
                else:
                    endings.append([] if _names(children[at:], target) else _where(href, page))
            elif token.type == "link_close":
                yield from endings.pop()
            else:
                yield token


def _name_headings(tokens: Sequence[Token]) -> Iterator[Heading]:
    anchors = Anchors()
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            text = _text(inline.children or [])
            heading = Heading(int(opening.tag[1:]), text, anchors.of(text))
            opening.attrSet("id", heading.anchor)
            yield heading


def _name_boxes(tokens: Sequence[Token], title: str) -> None:
    """Name tables and code after their section: they take the focus, and a screen reader says where."""
    section = title
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            section = _text(tokens[at + 1].children or [])
        token.meta["section"] = section


def _mend_cells(tokens: Sequence[Token]) -> None:
    for opening, inline, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.type in ("th_open", "td_open"):
            style = opening.attrs.pop("style", None)
            if style:
                opening.attrSet("class", str(style).partition(":")[2])
            if not inline.content:
                opening.tag = closing.tag = "td"


def _text(children: Sequence[Token]) -> str:
    return "".join(token.content for token in children if token.type in ("text", "code_inline"))


def _names(link: Sequence[Token], target: InRepository) -> bool:
    """Return whether the text of a link, which is the first of these tokens, says the target's name."""
    label = takewhile(lambda token: token.type != "link_close", link)
    return target.path.rpartition("/")[2] in _text(list(label))


def _where(href: str, page: str) -> list[Token]:
    """Return where the repository, or the web, has what the site does not have."""
    target = resolve(href, page, {})
    where = target.href if isinstance(target, OnSite) else target.path
    return [_text_token(" ("), Token("code_inline", "code", 0, content=where), _text_token(")")]


def _text_token(text: str) -> Token:
    return Token("text", "", 0, content=text)
