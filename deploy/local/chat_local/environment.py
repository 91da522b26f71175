"""The settings that commands go by."""

import os

from dotenv import dotenv_values


def environment() -> dict[str, str]:
    """Return the environment over the values of a `.env` file in the current folder."""
    from_file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return from_file | dict(os.environ)
