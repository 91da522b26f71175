"""Markdown becomes HTML with working links and anchors, and without any HTML of its author."""

import pytest
from docs_site.anchors import Anchors
from docs_site.markdown import Markdown, Page
from html_elements import Element, elements

ADDRESSES = {
    "docs/clients.md": "/docs/clients.html",
    "docs/decisions": "/docs/decisions.html",
    "docs/decisions/0001-a.md": "/docs/decisions/0001-a.html",
    "shared/contracts/asyncapi.yaml": "/docs/asyncapi.yaml",
}


def _page(text: str, path: str = "docs/page.md") -> Page:
    return Markdown(ADDRESSES).page(path, f"# Title\n\n{text}")


def _only(page: Page, tag: str) -> Element:
    (found,) = [element for element in elements(page.body) if element.tag == tag]
    return found


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("What has to be remembered", "what-has-to-be-remembered"),
        ("A, b & c's (d)", "a-b--cs-d"),
        ("`make up` and _x_y", "make-up-and-_x_y"),
        ("Größe — 5 %", "größe--5-"),
    ],
)
def test_anchors_are_those_of_github(heading: str, anchor: str) -> None:
    assert Anchors().of(heading.replace("`", "")) == anchor


def test_equal_headings_get_different_anchors() -> None:
    page = _page("## Same\n\n## Same\n\n### Same-1\n\n## Same")
    assert [heading.anchor for heading in page.headings] == ["title", "same", "same-1", "same-1-1", "same-2"]


def test_a_heading_has_the_anchor_of_its_text_without_markup() -> None:
    page = _page("## Run `make up` *now*")
    assert _only(page, "h2").attributes == {"id": "run-make-up-now"}
    assert page.sections[0].text == "Run make up now"


def test_the_title_stands_apart() -> None:
    page = _page("Text")
    assert page.title == "Title"
    assert page.opening == '<h1 id="title">Title</h1>\n'
    assert page.body == "<p>Text</p>\n"


def test_a_page_without_a_title_is_refused() -> None:
    with pytest.raises(ValueError, match=r"docs/page\.md has no title"):
        Markdown({}).page("docs/page.md", "## Only a section")


@pytest.mark.parametrize(
    ("page", "href", "becomes"),
    [
        ("docs/page.md", "clients.md", "/docs/clients.html"),
        ("docs/page.md", "./clients.md#sending", "/docs/clients.html#sending"),
        ("docs/page.md", "decisions", "/docs/decisions.html"),
        ("docs/page.md", "decisions/0001-a.md", "/docs/decisions/0001-a.html"),
        ("docs/decisions/0002-b.md", "0001-a.md", "/docs/decisions/0001-a.html"),
        ("docs/decisions/0002-b.md", "../clients.md", "/docs/clients.html"),
        ("docs/page.md", "../shared/contracts/asyncapi.yaml", "/docs/asyncapi.yaml"),
        ("docs/page.md", "#below", "#below"),
        ("docs/page.md", "https://example.org/a.md?b=1&c=2", "https://example.org/a.md?b=1&c=2"),
    ],
)
def test_links_lead_to_the_site(page: str, href: str, becomes: str) -> None:
    assert _only(_page(f"[there]({href})", page), "a").attributes["href"] == becomes


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("[it](../README.md)", "it (<code>README.md</code>)"),
        ("[`b.py`](../a/b.py)", "<code>b.py</code>"),
        ("[it](../a/b.py) or b.py", "it (<code>a/b.py</code>) or b.py"),
        ("[it](/etc/passwd)", "it (<code>/etc/passwd</code>)"),
        ("![a plot](performance/x.png)", "a plot (<code>docs/performance/x.png</code>)"),
        ("![a plot](https://example.org/x.png)", "a plot (<code>https://example.org/x.png</code>)"),
    ],
)
def test_what_the_site_does_not_have_becomes_text(link: str, becomes: str) -> None:
    assert _page(link).body == f"<p>{becomes}</p>\n"


def test_tables_scroll_by_keyboard_and_align_without_a_style() -> None:
    page = _page("## Sizes\n\n|  | Number |\n| --- | --: |\n| a\\|b | 1 |")
    assert _only(page, "div").attributes["tabindex"] == "0"
    assert _only(page, "div").attributes["aria-label"] == "Table: Sizes"
    assert _only(page, "th").attributes == {"class": "right"}
    assert [cell.attributes for cell in elements(page.body) if cell.tag == "td"] == [
        {},
        {},
        {"class": "right"},
    ]


def test_code_scrolls_by_keyboard() -> None:
    page = _page('```js" onload="x\n<b>&amp;\n```')
    assert _only(page, "pre").attributes == {"tabindex": "0", "role": "group", "aria-label": "Code: Title"}
    assert _only(page, "code").text.strip() == "<b>&amp;"


def test_comments_are_left_out() -> None:
    assert _page("<!-- generated -->\n\nText <!-- here --> ends").body == "<p>Text  ends</p>\n"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<!-- a --><script>alert(1)</script>",
        "<!-- a\n\n--> <img src=x onerror=alert(1)>",
        "Text <b onclick='alert(1)'>bold</b>",
        "## <img src=x onerror=alert(1)>",
        "| <i>a</i> |\n| --- |\n| <style>b</style> |",
        "`<script>`",
        "    <script>indented</script>",
        "![<img src=x>](x.png '\"><script>')",
        '[text](<../a/"><script>.py>)',
        "[text](#a '\"><script>')",
        "[text](javascript:alert(1))",
        "[text](JAVASCRIPT:alert(1))",
        "[text](data:text/html,<script>)",
        "<javascript:alert(1)>",
        '## `"><img src=x>`\n\n```\na\n```',
        '## `"><img src=x>`\n\n| a |\n| --- |',
    ],
)
def test_markdown_cannot_bring_html(text: str) -> None:
    found = elements(_page(text).body)
    allowed = {"p", "h2", "a", "code", "pre", "div", "table", "thead", "tbody", "tr", "th", "td"}
    assert {element.tag for element in found} <= allowed
    names = {name for element in found for name in element.attributes}
    assert names <= {"id", "class", "href", "title", "aria-hidden", "aria-label", "tabindex", "role"}
    assert all(element.attributes.get("href", "#").startswith("#") for element in found)


def test_a_description_is_one_line_without_html() -> None:
    assert Markdown({}).inline("`a`:\n  <b> *c*") == "<code>a</code>: &lt;b&gt; <em>c</em>"
