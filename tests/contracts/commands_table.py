"""The table of commands in docs/cli.md, made from the command line itself."""

from collections.abc import Iterator
from typing import Any

import typer
from marked import with_table

COLUMNS = "| Command | Does | Options |\n|---|---|---|\n"


def with_commands(page: str, app: typer.Typer) -> str:
    """Return the page with the table between its two marks."""
    rows = (
        f"| `{usage}` | {purpose} | {options} |\n"
        for usage, purpose, options in _rows(typer.main.get_command(app), "chat")
    )
    return with_table(page, "the command line", COLUMNS, rows)


def _rows(command: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield how each command is called, what it does, and its options, in the order of `--help`."""
    inner = getattr(command, "commands", None)
    if inner is not None:
        for name, each in inner.items():
            yield from _rows(each, f"{path} {name}")
        return
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    shown = [f"`{option.opts[0]}`" for option in options if option.name != "help"]
    yield " ".join([path, *map(_placeholder, arguments)]), _purpose(command.help), " ".join(shown)


def _placeholder(argument: Any) -> str:
    name = argument.name.upper()
    return name if argument.required else f"[{name}]"


def _purpose(text: str) -> str:
    """Return the first paragraph of a help text."""
    return " ".join(text.partition("\n\n")[0].split())
