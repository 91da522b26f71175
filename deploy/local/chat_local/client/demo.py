"""The demo users, rooms and messages, as `demo.toml` has them."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class DemoUser:
    """An account to make; all have the one password of the demo."""

    username: str
    email: str
    firstname: str
    lastname: str


@dataclass(frozen=True)
class DemoRoom:
    """A room to make; `messages` are (sender's key, text), in order."""

    name: str
    type: str
    owner: str
    description: str
    messages: list[tuple[str, str]]


@dataclass(frozen=True)
class Demo:
    """Everything that is put into an installation."""

    password: str
    users: dict[str, DemoUser]
    """By the key that rooms name them with."""
    rooms: list[DemoRoom]


def load_demo() -> Demo:
    """Return what `demo.toml` has."""
    read = tomllib.loads(files(__package__).joinpath("demo.toml").read_text("utf-8"))
    users = {key: DemoUser(**fields) for key, fields in read["users"].items()}
    rooms = [DemoRoom(**{**fields, "messages": _messages(fields["messages"])}) for fields in read["rooms"]]
    return Demo(read["password"], users, rooms)


def _messages(text: str) -> list[tuple[str, str]]:
    return [(sender, content) for sender, _, content in (line.partition(" ") for line in text.splitlines())]
