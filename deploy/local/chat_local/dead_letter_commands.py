"""`chat dlq`: what operators do with events that consumers gave up on, on any installation."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from chat_shared.bus.dead_letters import DeadLetter, DeadLetters
from chat_shared.bus.topology import DURABLE_QUEUES
from chat_shared.errors import Unavailable

from chat_local.client.errors import CommandFailed
from chat_local.client.where import STATE_DIR, StateOption, broker_url
from chat_local.commands.running import fail, run
from chat_local.console import say
from chat_local.environment import environment
from chat_local.terminal import print_table, printable

ResultT = TypeVar("ResultT")

app = typer.Typer(no_args_is_help=True, help="Events that consumers gave up on: count, list, replay, drop.")


def _known_queue(name: str) -> str:
    if name not in DURABLE_QUEUES:
        raise typer.BadParameter(f"{name} is none of {', '.join(DURABLE_QUEUES)}")
    return name


QueueArgument = Annotated[
    str, typer.Argument(callback=_known_queue, help="The work queue, e.g. rooms.activity.")
]
EventsOption = Annotated[
    list[str] | None, typer.Option("--event-id", help="Only this event; may be repeated.")
]


@app.command()
def count(state_dir: StateOption = STATE_DIR) -> None:
    """Show how many events wait, and how many were set aside, per queue.

    \b
    Example:
      chat dlq count
    """
    depths = _run(state_dir, lambda letters: letters.depths())
    print_table(("queue", "waiting", "dead"), [(depth.queue, depth.waiting, depth.dead) for depth in depths])


@app.command("list")
def list_letters(
    queue: QueueArgument,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, oldest first.")] = 50,
    body: Annotated[bool, typer.Option("--body", help="Show the events themselves, too.")] = False,
    state_dir: StateOption = STATE_DIR,
) -> None:
    """Show which events of a queue were set aside, and why. They stay where they are.

    \b
    Example:
      chat dlq list rooms.activity
    """
    found = _run(state_dir, lambda letters: letters.look(queue, limit))
    header = ("event id", "key", "reason", "times", "age", *(("body",) if body else ()))
    print_table(header, [_row(letter, body) for letter in found])


@app.command()
def replay(
    queue: QueueArgument,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, oldest first.")] = None,
    event_id: EventsOption = None,
    state_dir: StateOption = STATE_DIR,
) -> None:
    """Send set-aside events to their queue again. Broken off, it has lost nothing: run it again.

    \b
    Example:
      chat dlq replay rooms.activity
    """
    replayed = _run(state_dir, lambda letters: letters.replay(queue, limit, event_id or ()))
    say(f"{replayed} sent to {queue} again")


@app.command()
def drop(
    queue: QueueArgument,
    event_id: Annotated[list[str], typer.Option("--event-id", help="The event; may be repeated.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    state_dir: StateOption = STATE_DIR,
) -> None:
    """Remove set-aside events for good.

    \b
    Example:
      chat dlq drop rooms.activity --event-id 01920b54-7e11-7c3e-9f6a-3d0b5f7f8a11
    """
    if not yes:
        typer.confirm(f"Remove {len(event_id)} from the dead letters of {queue} for good?", abort=True)
    dropped = _run(state_dir, lambda letters: letters.drop(queue, event_id))
    say(f"{dropped} dropped from the dead letters of {queue}")


def _run(state_dir: Path, work: Callable[[DeadLetters], Awaitable[ResultT]]) -> ResultT:
    """Do the work on the broker that is meant; a broker that is away ends the command with 1."""

    async def connected() -> ResultT:
        async with DeadLetters(broker_url(environment(), state_dir)) as letters:
            return await work(letters)

    try:
        return run(connected())
    except Unavailable as error:
        fail(CommandFailed(f"{error.message}. What was not settled is still there."))


def _row(letter: DeadLetter, body: bool) -> tuple[object, ...]:
    shown = (printable(letter.body.decode(errors="replace")),) if body else ()
    return (
        printable(letter.id),
        printable(letter.key) or "-",
        letter.reason,
        letter.times,
        _age(letter.died_at),
        *shown,
    )


def _age(moment: datetime | None) -> str:
    if moment is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
