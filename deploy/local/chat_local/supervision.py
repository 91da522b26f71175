"""Keeping hold of every process of a run, whatever happens to the supervisor."""

import asyncio
import sys
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chat_local.leftovers import RUN_MARK, STATE_MARK, end_marked
from chat_local.process import ProcessSpec


class Supervision:
    """The marks of one run, and the warden that ends the run if this process is killed."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = str(state_dir)
        self._run = uuid.uuid4().hex
        self._warden: asyncio.subprocess.Process | None = None

    @property
    def _marks(self) -> Mapping[str, str]:
        return {STATE_MARK: self._state_dir, RUN_MARK: self._run}

    def mark(self, spec: ProcessSpec) -> ProcessSpec:
        """Return the spec with the marks by which its process is known as ours."""
        return replace(spec, env={**spec.env, **self._marks})

    async def begin(self) -> int:
        """End what an earlier run on this folder left behind, and post the warden.

        Returns:
            how many processes had been left.
        """
        left = await asyncio.to_thread(end_marked, STATE_MARK, self._state_dir)
        self._warden = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_local.warden", self._run),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return len(left)

    async def end(self) -> None:
        """Send the warden home; on its way it ends whatever is left of the run."""
        if self._warden is not None and self._warden.stdin is not None:
            self._warden.stdin.close()
            await self._warden.wait()
            self._warden = None
