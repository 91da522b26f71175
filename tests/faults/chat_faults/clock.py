"""Processes with clocks of their own, by libfaketime: wall clocks only, durations stay true."""

from collections.abc import Mapping
from pathlib import Path

from chat_local import debian

from chat_faults.rig import Rig

PACKAGE = "libfaketime"
LIBRARY = "libfaketime.so.1"


class CannotSkew(Exception):
    """This machine cannot give a process another clock."""


class Clocks:
    """Gives processes a clock that is off, moves it while they run, and puts it right again."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._skewed: list[str] = []

    async def skew(self, offsets: Mapping[str, float]) -> None:
        """Restart processes with clocks that are off by so many seconds.

        Raises:
            CannotSkew: there is neither libfaketime nor a Debian to fetch it from.
        """
        library = str(_library())
        for name, offset in offsets.items():
            self.step(name, offset)
            environment = {
                "LD_PRELOAD": library,
                "FAKETIME_TIMESTAMP_FILE": str(self._file(name)),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            self._skewed.append(name)
            await self._rig.bring_back(name, environment)

    def step(self, name: str, offset: float) -> None:
        """Set how far a clock is off from now on, while its process runs."""
        self._file(name).write_text(f"{offset:+.0f}\n")

    async def restore(self) -> None:
        """Restart the processes with the machine's clock."""
        for name in self._skewed:
            await self._rig.bring_back(name)
        self._skewed.clear()

    def _file(self, name: str) -> Path:
        """Return the file with a process's offset, which it reads again every second."""
        return self._rig.folder / f"{name}.clock"


def _library() -> Path:
    if not debian.is_available():
        raise CannotSkew("libfaketime can only be fetched with apt-get")
    folder = debian.unpack(PACKAGE, lambda _apt: [PACKAGE], lambda _root, _target: None)
    return next(folder.rglob(LIBRARY))
