"""`chat say`: sending to a room and reading it from a terminal."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from chat_local.client.api import Api
from chat_local.client.lines import lines_of
from chat_local.client.names import Names
from chat_local.client.passwords import read_password
from chat_local.client.rooms import Room, enter_room
from chat_local.client.session import Session, log_in, of_token
from chat_local.client.talking import Message, NotSent, Talk
from chat_local.client.where import STATE_DIR, StateOption, UrlOption, installation_url
from chat_local.commands.running import note, run
from chat_local.console import say as put
from chat_local.terminal import printable

TOKEN_SETTING = "CHAT_TOKEN"  # noqa: S105 - the setting's name
HISTORY = 20
WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class Wish:
    """What somebody typed."""

    url: str
    name: str
    room: str
    text: str
    follow: bool
    history: int
    timeout: float
    message_id: str


def say(
    room: Annotated[str, typer.Argument(help="Id or name: of a room of yours, or of a public one to join.")],
    text: Annotated[str, typer.Argument(help="What to say; without it, each line of standard input.")] = "",
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Username or email address to log in with.")
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the room until Ctrl-C, and send the lines that are typed.")
    ] = False,
    history: Annotated[
        int, typer.Option(min=0, max=100, help="How many earlier messages --follow shows first.")
    ] = HISTORY,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds to wait for the acknowledgement of a message.")
    ] = 60,
    message_id: Annotated[
        str, typer.Option("--id", help="clientMessageId: with that of an earlier try nothing is doubled.")
    ] = "",
    url: UrlOption = "",
    state_dir: StateOption = STATE_DIR,
) -> None:
    """Send to a room, or show it and send what is typed.

    Who you are: the access token in CHAT_TOKEN, or --as NAME, which asks for the password, or takes the first
    line of standard input. On a terminal, without TEXT, --follow is meant.

    \b
    Example:
      chat say lobby "hello" --as alice
      CHAT_TOKEN=$(chat token bob) chat say lobby --follow
      tail -f app.log | CHAT_TOKEN=$TOKEN chat say alerts
    """
    if not name and not os.environ.get(TOKEN_SETTING):
        raise typer.BadParameter(f"set {TOKEN_SETTING}, or say --as NAME")
    if follow and text:
        raise typer.BadParameter("--follow sends what is typed; leave TEXT out")
    if message_id and not text:
        raise typer.BadParameter("--id needs TEXT: it names one message")
    follow = follow or (not text and sys.stdin.isatty())
    wish = Wish(installation_url(url, state_dir), name, room, text, follow, history, timeout, message_id)
    try:
        run(_say(wish))
    except KeyboardInterrupt:
        raise typer.Exit(0 if follow else 1) from None


async def _say(wish: Wish) -> None:
    async with Api(wish.url) as api, _logged_in(api, wish.name) as session:
        room, joined = await enter_room(session, wish.room)
        if joined:
            note(f"Joined {printable(room['roomName'])}")
        if wish.follow:
            await _follow(session, room, wish)
            return
        talk = Talk(session, room["id"])
        async with talk.connected():
            if wish.text:
                await _send(talk, wish.text, wish, wish.message_id)
            else:
                async for line in lines_of(sys.stdin.fileno()):
                    await _send(talk, line, wish)


@asynccontextmanager
async def _logged_in(api: Api, name: str) -> AsyncIterator[Session]:
    """A session of our own ends with the command; that of CHAT_TOKEN stays."""
    if name:
        session = await log_in(api, name, read_password(f"Password of {name}"))
    else:
        session = of_token(api, os.environ[TOKEN_SETTING])
    try:
        yield session
    finally:
        await session.end()


async def _send(talk: Talk, text: str, wish: Wish, message_id: str = "") -> None:
    message_id = message_id or str(uuid.uuid4())
    try:
        async with asyncio.timeout(wish.timeout):
            answer = await talk.send(text, message_id)
    except TimeoutError:
        raise NotSent(
            f"No acknowledgement within {wish.timeout:.0f} s; it may be stored all the same. "
            f"To try again without doubling it: --id {message_id}"
        ) from None
    put(f"seq {answer['seq']}{' (was there already)' if answer['duplicate'] else ''}")


async def _follow(session: Session, room: Room, wish: Wish) -> None:
    answer = await session.call("GET", f"/api/v1/room/{room['id']}/messages", query={"limit": "1"})
    talk = Talk(session, room["id"], answer.data["head"], wish.history)
    note(f"{printable(room['roomName'])}: what you type is sent, Ctrl-C ends it")
    async with talk.connected():
        first = asyncio.create_task(_send_typed(talk))
        others = [asyncio.create_task(_show(talk, Names(session))), asyncio.create_task(_watch(talk))]
        try:
            await talk.unless_turned_away(_first_end(first, *others))
        finally:
            for task in (first, *others):
                task.cancel()
            await asyncio.gather(first, *others, return_exceptions=True)


async def _first_end(*tasks: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _send_typed(talk: Talk) -> None:
    """Send what is typed; end when a terminal ends, while a pipe that ends leaves the room on the screen."""
    async for line in lines_of(sys.stdin.fileno()):
        try:
            await talk.send(line, str(uuid.uuid4()))
        except NotSent as failure:
            note(str(failure))
    if not sys.stdin.isatty():
        await asyncio.Event().wait()


async def _show(talk: Talk, names: Names) -> None:
    while True:
        message = await talk.messages.get()
        put(_as_lines(message, await names.of(message["senderId"])))


def _as_lines(message: Message, sender: str) -> str:
    moment = datetime.fromisoformat(message["createdAt"]).astimezone()
    image = f"[{message['imageUrl']}] " if message["messageType"] == "image" else ""
    first, *more = [printable(line) for line in (image + message["content"]).splitlines()] or [""]
    return "\n".join([f"{moment:%H:%M}  {sender}: {first}", *(f"       {line}" for line in more)])


async def _watch(talk: Talk) -> None:
    """Say when the connection is lost for more than a moment, and when it is back."""
    was_connected = True
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if talk.is_connected != was_connected:
            was_connected = talk.is_connected
            note("Connected again" if was_connected else "No connection; what you type waits")
