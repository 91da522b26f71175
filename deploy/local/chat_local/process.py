"""One supervised process: started in a session of its own, logged, restarted when it dies, ended cleanly."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from chat_local.errors import StartFailed
from chat_local.logs import last_lines
from chat_local.state import StateFolder

_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 10.0
_STABLE_SECONDS = 30.0
_POLL_SECONDS = 0.1

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with(parent: int) -> None:
    """Run in the child between fork and exec: have the kernel kill it when its parent dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the line above
        os._exit(1)


@dataclass(frozen=True)
class ProcessSpec:
    """What to run and how to tell that it works."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    url: str = ""
    start_seconds: float = 60
    stop_seconds: float = 15
    stop_settings: Sequence[str] = ()
    """Variables with seconds for which the process may take longer to stop."""


class ManagedProcess:
    """A process of the stack. Not started by the constructor.

    `auto_restart` can be set to False to keep a process down after it died.
    """

    def __init__(self, spec: ProcessSpec, state: StateFolder, report: Callable[[str], None]) -> None:
        self.spec = spec
        self.auto_restart = True
        self._state = state
        self._report = report
        self._extra_env: Mapping[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._exited = asyncio.Event()
        self._wanted = False
        # Only what has worked once is restarted: a first start that fails is a failure to report.
        self._was_ready = False

    @property
    def name(self) -> str:
        """Its name in logs, pid files and messages."""
        return self.spec.name

    @property
    def url(self) -> str:
        """Its own base URL, past Traefik."""
        return self.spec.url

    @property
    def is_running(self) -> bool:
        """Whether the process exists."""
        return self._process is not None and not self._exited.is_set()

    @property
    def pid(self) -> int:
        """The pid of the running process.

        Raises:
            ProcessLookupError: it is not running.
        """
        if self._process is None or not self.is_running:
            raise ProcessLookupError(f"{self.name} is not running")
        return self._process.pid

    async def start(self) -> None:
        """Start it, unless it runs; does not wait until it is ready."""
        if self.is_running:
            return
        await self._end_keeper()
        self._wanted = True
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End it: SIGTERM, and after its time of grace SIGKILL."""
        self._wanted = False
        if self.is_running:
            self._send(signal.SIGTERM)
            patience = self._patience()
            try:
                await asyncio.wait_for(self.wait_exit(), patience)
            except TimeoutError:
                self._report(f"{self.name} did not stop within {patience:g} s: killed")
                self._send(signal.SIGKILL)
                await self.wait_exit()
        await self._end_keeper()

    def _patience(self) -> float:
        env = {**self.spec.env, **self._extra_env}
        return self.spec.stop_seconds + sum(float(env.get(name) or 0) for name in self.spec.stop_settings)

    async def restart(self, extra_env: Mapping[str, str] | None = None) -> None:
        """Stop it and start it again; `extra_env` holds until the next call of restart."""
        await self.stop()
        self._extra_env = extra_env or {}
        await self.start()

    def kill(self, sig: int = signal.SIGKILL) -> None:
        """Send it a signal.

        Raises:
            ProcessLookupError: it is not running.
        """
        if not self.is_running:
            raise ProcessLookupError(f"{self.name} is not running")
        self._send(sig)

    async def wait_exit(self) -> None:
        """Wait until the process that runs now has ended; return at once when none runs."""
        if self.is_running:
            await self._exited.wait()

    async def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until it is ready, through restarts, for `timeout` seconds (default: its start time).

        Raises:
            StartFailed: it ended and will not be restarted, or time is up.
        """
        seconds = self.spec.start_seconds if timeout is None else timeout
        try:
            async with asyncio.timeout(seconds):
                while not (self.is_running and await self.spec.ready()):
                    self._refuse_given_up()
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise self._failure(f"was not ready after {seconds:g} s") from None
        self._was_ready = True

    def _send(self, sig: int) -> None:
        with suppress(ProcessLookupError):  # it ended a moment ago
            if self._process is not None:
                self._process.send_signal(sig)

    def _refuse_given_up(self) -> None:
        if self._process is not None and (self._keeper is None or self._keeper.done()):
            raise self._failure(_describe_end(self._process.returncode))

    def _failure(self, what: str) -> StartFailed:
        log = self._state.log_of(self.name)
        return StartFailed(self.name, what, log, last_lines(log))

    async def _spawn(self) -> None:
        with self._state.log_of(self.name).open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env={**self.spec.env, **self._extra_env},
                cwd=self._state.path,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the supervisor alone
                preexec_fn=partial(_die_with, os.getpid()),
            )
        self._exited.clear()
        self._state.pid_file_of(self.name).write_text(f"{self._process.pid}\n")

    async def _keep(self) -> None:
        """Watch the process; start it again, with a growing delay, for as long as it is wanted."""
        loop = asyncio.get_running_loop()
        delay = _FIRST_DELAY_SECONDS
        while True:
            started = loop.time()
            end = await self._bury()
            if not self._wanted or not self._was_ready:
                return
            if not self.auto_restart:
                self._report(f"{self.name} {end}; it stays down")
                return
            if loop.time() - started > _STABLE_SECONDS:
                delay = _FIRST_DELAY_SECONDS
            self._report(f"{self.name} {end}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY_SECONDS)
            await self._spawn()

    async def _bury(self) -> str:
        """Wait for the end of the process, clear away what it leaves, and tell how it ended."""
        process = self._process
        assert process is not None  # noqa: S101 - _keep runs only after _spawn
        code = await process.wait()
        with suppress(ProcessLookupError):  # its own children, if it left any
            os.killpg(process.pid, signal.SIGKILL)
        self._state.pid_file_of(self.name).unlink(missing_ok=True)
        self._exited.set()
        return _describe_end(code)

    async def _end_keeper(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None


def _describe_end(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
