"""Reading log files: their last lines, and all of them as they grow."""

import asyncio
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS = 0.2


def last_lines(path: Path, count: int = 15) -> str:
    """Return the end of a log file, indented; a remark when there is none."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines[-count:]) or "    (the log is empty)"


class LogFollower:
    """Prints every new line of a folder's logs behind the name of its process."""

    def __init__(self, folder: Path, show: Callable[[str], None]) -> None:
        self._folder = folder
        self._show = show
        self._offsets: dict[Path, int] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            for log in sorted(self._folder.glob("*.log")):
                self._show_news(log)
            await asyncio.sleep(_POLL_SECONDS)

    def _show_news(self, log: Path) -> None:
        with log.open("rb") as file:
            file.seek(self._offsets.get(log, 0))
            news, newline, _unfinished = file.read().rpartition(b"\n")
        self._offsets[log] = self._offsets.get(log, 0) + len(news) + len(newline)
        for line in news.decode(errors="replace").splitlines():
            self._show(f"{log.stem:<13}| {line}")
