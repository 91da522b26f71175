"""How Markdown's tokens become HTML that a strict Content-Security-Policy allows."""

import re
from collections.abc import Sequence
from typing import Any

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import escape

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class StrictRenderer(RendererHTML):
    """Each method renders the token of its name. Raw HTML is shown as text; comments are left out."""

    def html_block(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Return raw HTML between paragraphs as text."""
        rest = _COMMENT.sub("", tokens[at].content).strip()
        return f"<p>{escape(rest)}</p>\n" if rest else ""

    def html_inline(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Return raw HTML within a line as text."""
        return str(escape(_COMMENT.sub("", tokens[at].content)))

    def fence(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Return a block of code, which scrolls by keyboard."""
        label = f"Code: {tokens[at].meta.get('section', '')}"
        code = escape(tokens[at].content)
        return f'<pre tabindex="0" role="group" aria-label="{escape(label)}"><code>{code}</code></pre>\n'

    def code_block(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Return an indented block of code like any other."""
        return self.fence(tokens, at, options, env)

    def heading_close(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """End a heading, below the title with a link to itself."""
        opening = tokens[at - 2]
        if opening.tag == "h1":
            return "</h1>\n"
        anchor = escape(str(opening.attrGet("id")))
        # For the mouse only: whoever uses the keyboard has the list of sections.
        link = f'<a class="anchor" href="#{anchor}" aria-hidden="true" tabindex="-1">#</a>'
        return f" {link}</{opening.tag}>\n"

    def table_open(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """Begin a table in a box of its own, which scrolls by keyboard."""
        label = f"Table: {tokens[at].meta.get('section', '')}"
        return f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(label)}">\n<table>\n'

    def table_close(self, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        """End a table and its box."""
        return "</table>\n</div>\n"
