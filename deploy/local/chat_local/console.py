"""What `chat up` says, and how it ends: one run in the foreground, from start to Ctrl-C."""

import asyncio
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import replace

from chat_local.errors import LocalStackError
from chat_local.logs import LogFollower
from chat_local.stack import Stack, StackOptions

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOST_FILES = 65_536


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


async def run_in_foreground(options: StackOptions, follow_logs: bool) -> int:
    """Run a stack until a signal ends it; return the exit code."""
    allow_many_sockets()
    ended = _on_signals()
    stack = Stack(replace(options, report=say))
    try:
        if not await _start_unless(ended, stack):
            return 0
        say(_welcome(stack))
        await _serve(stack, ended, follow_logs)
    except (LocalStackError, OSError) as error:
        print(f"Chat could not start. {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _on_signals() -> asyncio.Event:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in _ENDING_SIGNALS:
        loop.add_signal_handler(sig, ended.set)
    return ended


async def _start_unless(ended: asyncio.Event, stack: Stack) -> bool:
    """Start the stack; break off, and return False, when a signal comes first."""
    start = asyncio.create_task(stack.start())
    signalled = asyncio.create_task(ended.wait())
    await asyncio.wait([start, signalled], return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        say("Stopping")
        start.cancel()
        with suppress(asyncio.CancelledError):
            await start
        return False
    signalled.cancel()
    start.result()
    return True


async def _serve(stack: Stack, ended: asyncio.Event, follow_logs: bool) -> None:
    follower = asyncio.create_task(LogFollower(stack.logs_dir, say).run()) if follow_logs else None
    await ended.wait()
    say("Stopping")
    await stack.stop()
    if follower is not None:
        follower.cancel()
    say("Stopped")


def _welcome(stack: Stack) -> str:
    return f"""\
Chat is ready: {stack.url}
  Try it:  open it in two windows and register two people; chat seed fills it (docs/cli.md)
  Logs:    {stack.logs_dir} (one file per process; --logs shows them here)
  Stop:    Ctrl-C; data stays in {stack.logs_dir.parent}"""


def allow_many_sockets() -> None:
    """Raise the limit of open files: each client is a socket here and there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _MOST_FILES)), hard))
