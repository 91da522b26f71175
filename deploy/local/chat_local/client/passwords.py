"""Passwords from a prompt or standard input: never from arguments, which every user of a machine can read."""

import os
import sys

import typer

from chat_local.client.errors import NoPassword

_LONGEST = 1000


def read_password(prompt: str, *, confirm: bool = False) -> str:
    """Return a password: typed and not shown, or the first line of standard input where that is no terminal.

    Args:
        confirm: whether it has to be typed twice.

    Raises:
        NoPassword: standard input has none.
    """
    if sys.stdin.isatty():
        typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
        return typed
    password = _first_line(sys.stdin.fileno()).decode(errors="replace").rstrip("\r")
    if not password:
        raise NoPassword
    return password


def _first_line(descriptor: int) -> bytes:
    """Read byte by byte: what follows the line belongs to who reads next."""
    line = bytearray()
    while len(line) < _LONGEST and (byte := os.read(descriptor, 1)) not in (b"", b"\n"):
        line += byte
    return bytes(line)
