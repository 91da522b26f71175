"""`chat` against the installation under test."""

import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from .programs import Chat, Outcome

if TYPE_CHECKING:
    from chat_local.stack import Stack


@pytest.fixture(autouse=True)
def _programs_can_be_interrupted() -> Iterator[None]:
    """What a shell starts in the background ignores Ctrl-C, and so would all that such a test run starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def chat(chat_url: str) -> Chat:
    return Chat(chat_url)


@pytest.fixture(scope="module")
def operator(own_stack: "Stack") -> Callable[..., Awaitable[Outcome]]:
    """Runs `chat user`."""
    chat = Chat(own_stack.url)
    settings = {
        "CHAT_AUTH_URLS": own_stack.process("auth-1").url,
        "CHAT_SERVICE_TOKEN": own_stack.secrets["chat_service_token"],
    }

    async def run(*arguments: str, typed: str = "") -> Outcome:
        return await chat.run("user", *arguments, typed=typed, **settings)

    return run
