"""The commands that pages show: fenced shell blocks, indented blocks, and code in a line of text."""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SHELLS = {"sh", "bash", "shell", "console", ""}
_FENCE = re.compile(r"^ *```(\w*)")
_INDENT = "    "
_INLINE = re.compile(r"`([^`\n]+)`")
_SKIPPED_FOLDERS = {"node_modules", "build"}
_OPERATORS = {"&&", "||", ";", "|", "&"}
_LOOP = re.compile(r"for (\w+) in ([^;\n]+);? *\n? *do\s+(.+?);?\s+done", re.S)
_ASSIGNMENT = re.compile(r"^\w+=")


@dataclass(frozen=True)
class Block:
    """A block of lines that may be commands."""

    page: str
    line: int
    text: str

    @property
    def first(self) -> str:
        """Its first line: with the page, what a block is known by."""
        return self.text.splitlines()[0].strip()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Inline:
    """A command in a line of text."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> Iterator[Path]:
    """Yield every Markdown page of the repository."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _SKIPPED_FOLDERS)
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".md"))


def blocks() -> list[Block]:
    """Return all blocks in which there may be commands."""
    return [block for page in pages() for block in blocks_of(page.read_text(), str(page.relative_to(ROOT)))]


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """Yield the fenced blocks of shell or of no language, and the indented ones."""
    language: str | None = None
    begun, lines, previous = 0, list[str](), ""
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        fence = _FENCE.match(line)
        is_indented = language is None and line.startswith(_INDENT) and (bool(lines) or not previous.strip())
        if fence and language is None:
            language, begun, lines = fence[1], number + 1, []
        elif fence:
            if language in _SHELLS and lines:
                yield Block(page, begun, _typed(lines, language or ""))
            language, lines = None, []
        elif language is not None or is_indented:
            begun = begun if lines else number
            lines.append(line if language is not None else line.removeprefix(_INDENT))
        elif lines:
            yield Block(page, begun, "\n".join(lines))
            lines = []
        previous = line


def _typed(lines: list[str], language: str) -> str:
    """Return what somebody types: in a console, what stands behind the prompt."""
    if language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return "\n".join(lines)


def inline_commands(programs: tuple[str, ...]) -> list[Inline]:
    """Return the code in lines of text that begins with one of these, each with something behind it."""
    found = []
    for page in pages():
        for number, line in enumerate(page.read_text().splitlines(), start=1):
            if line.startswith(_INDENT):
                continue
            texts = [text for text in _INLINE.findall(line) if _is_of(text, programs)]
            found += [Inline(str(page.relative_to(ROOT)), number, text) for text in texts]
    return found


def _is_of(text: str, programs: tuple[str, ...]) -> bool:
    words = without_assignments(text.split())
    return len(words) > 1 and words[0].removeprefix(".venv/bin/") in programs


def simple_commands(text: str) -> list[list[str]]:
    """Return the words of each command in a piece of shell: loops unrolled, comments and redirections gone.

    Assignments before a command stay in front of it.
    """
    text = _LOOP.sub(_unrolled, text.replace("\\\n", " "))
    commands: list[list[str]] = []
    for line in text.splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        commands.append([])
        skip_next = False
        for word in words:
            if word in _OPERATORS:
                commands.append([])
            elif skip_next or word in (">", "<", ">>"):
                skip_next = not skip_next
            else:
                commands[-1].append(word)
    return [command for command in commands if command]


def _unrolled(loop: re.Match[str]) -> str:
    name, values, body = loop.groups()
    return "\n".join(body.replace(f"${name}", value) for value in values.split())


def without_assignments(words: list[str]) -> list[str]:
    """Return a command without the variables that are set for it."""
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    return words
