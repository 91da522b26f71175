"""How a command runs: one event loop, and failures as one line on standard error."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from chat_local.client.errors import CommandFailed

ResultT = TypeVar("ResultT")

FAILED = 1


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run the work of a command; a failure that it explains ends the command with 1."""
    try:
        return asyncio.run(work)
    except CommandFailed as failure:
        fail(failure)
    except PermissionError as error:
        fail(CommandFailed(f"{error.filename} cannot be read: {error.strerror}"))


def fail(failure: CommandFailed) -> NoReturn:
    """Say why in one line, and end the command."""
    print(failure, file=sys.stderr, flush=True)
    raise typer.Exit(FAILED)


def note(line: str) -> None:
    """Tell the person at the terminal something that is not the result."""
    print(line, file=sys.stderr, flush=True)
