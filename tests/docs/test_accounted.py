"""Every command that a page shows is run by a test, or looked at as closely as the tests can."""

import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest

from .accounts import CHECKS, NO_COMMANDS, RUN_ELSEWHERE, RUN_HERE, SYNOPSES, check
from .blocks import (
    ROOT,
    Block,
    Inline,
    blocks,
    blocks_of,
    inline_commands,
    simple_commands,
    without_assignments,
)

Known = tuple[str, str]

BLOCKS = blocks()
INLINE = inline_commands(tuple(sorted(CHECKS)))
# In a block these have to run, not only to be looked at.
MUST_RUN = {"chat", "python"}
WHAT_TO_DO = (
    "no test runs it. Let one run its block: RUN_HERE in tests/docs/accounts.py, and test_running.py there. "
    "Where that needs a program or a machine that the tests have not got, write a check into CHECKS instead."
)


def known(block: Block, among: Collection[Known]) -> list[Known]:
    return [(page, first) for page, first in among if page == block.page and block.first.startswith(first)]


def problems_of(block: Block) -> list[str]:
    """Return what is wrong with the commands of a block that no test runs."""
    found = []
    for words in map(without_assignments, simple_commands(block.text)):
        if not words:
            continue
        where, shown = f"{block.page}:{block.line}", " ".join(words)
        if words[0].removeprefix(".venv/bin/") in MUST_RUN and not known(block, SYNOPSES):
            found.append(f"{where}: `{shown}`: {WHAT_TO_DO}")
            continue
        try:
            check(words, (ROOT / block.page).parent)
        except LookupError:
            found.append(f"{where}: `{shown}`: {WHAT_TO_DO}")
        except AssertionError as error:
            found.append(f"{where}: `{shown}` does not work as it is written: {error}")
    return found


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block(block: Block) -> None:
    if known(block, [*RUN_HERE, *RUN_ELSEWHERE, *NO_COMMANDS]):
        return
    assert problems_of(block) == []


@pytest.mark.parametrize("inline", INLINE, ids=lambda inline: f"{inline}-{inline.text}")
def test_a_command_in_a_line(inline: Inline) -> None:
    for words in map(without_assignments, simple_commands(inline.text)):
        check(words, (ROOT / inline.page).parent)


@pytest.mark.parametrize("block", [block for block in BLOCKS if not known(block, NO_COMMANDS)], ids=str)
def test_the_shell_reads_it(block: Block) -> None:
    outcome = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


def test_every_account_is_of_a_block() -> None:
    """An entry of a block that is gone would hide the next one that begins like it."""
    among = [*RUN_HERE, *RUN_ELSEWHERE, *NO_COMMANDS, *SYNOPSES]
    used = {entry for block in BLOCKS for entry in known(block, among)}
    assert set(among) - used == set()
    assert [where for where in RUN_ELSEWHERE.values() if not (ROOT / where).exists()] == []


def test_make_help_lists_what_there_is() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "verify", "bench", "up", "doctor"):
        assert f"  make {target} " in listed


class TestTheTestItself:
    """A command that nothing accounts for is found, however it is written."""

    @pytest.mark.parametrize(
        "page",
        [
            "```sh\nchat no-such\n```\n",
            "```sh\nchat doctor\n```\n",
            "```\nsudo reboot\n```\n",
            "```console\n$ frobnicate --all\nits output\n```\n",
            "Text\n\n    frobnicate\n",
            "```sh\nfor x in a b; do frobnicate $x || break; done\n```\n",
            "```sh\nX=1 make no-such-target\n```\n",
            "```sh\nmake verify FALT=F01\n```\n",
            "```sh\nkubectl apply -k deploy/k8s/overlays/none\n```\n",
            "```sh\ndocker compose -f deploy/docker-compose.yml exec nobody config\n```\n",
        ],
    )
    def test_is_found(self, page: str) -> None:
        [block] = blocks_of(page, "docs/new.md")
        assert len(problems_of(block)) in (1, 2), block

    @pytest.mark.parametrize("page", ["```js\nchat();\n```\n", "```yaml\na: b\n```\n", "- a\n\n  b\n"])
    def test_is_no_command(self, page: str) -> None:
        assert list(blocks_of(page, "docs/new.md")) == []

    def test_where_it_is(self) -> None:
        assert [
            (block.line, block.text) for block in blocks_of("a\n\n    b\n    c\n\n```sh\nd\n```\n", "p")
        ] == [
            (3, "b\nc"),
            (7, "d"),
        ]

    def test_pages_are_found(self) -> None:
        pages = {block.page for block in BLOCKS}
        assert {"README.md", "docs/cli.md", "services/rooms/README.md", "deploy/local/README.md"} <= pages
        assert all(not Path(page).parts[0].startswith(".") for page in pages)
