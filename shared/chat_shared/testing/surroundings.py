"""Surroundings for commands under test in which the machine's own settings do not change what is tested."""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

#: How settings begin, in the environment and in a `.env` of the current folder.
_FOREIGN = ("CHAT_", "CLOUDINARY_", "MONGO", "REDIS_", "RABBITMQ_", "AMQP_", "ACCESS_TOKEN", "REFRESH_TOKEN")


def bare_environ(**settings: str) -> dict[str, str]:
    """Return the environment of the test run with `settings` as its only settings of ours."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**own, **settings}


@cache
def bare_folder() -> Path:
    """Return a folder without a `.env` and a `.chat`; it goes when the test run ends."""
    folder = Path(tempfile.mkdtemp(prefix="chat-bare-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
