"""Logs are shown line by line behind the name of their process."""

import asyncio
from pathlib import Path

from chat_local.logs import LogFollower, last_lines
from chat_shared.testing import eventually


async def test_whole_new_lines_are_shown_once(tmp_path: Path) -> None:
    shown: list[str] = []
    (tmp_path / "auth-1.log").write_text("one\ntw")
    follower = asyncio.create_task(LogFollower(tmp_path, shown.append).run())
    await eventually(lambda: shown == ["auth-1       | one"])
    with (tmp_path / "auth-1.log").open("a") as log:
        log.write("o\n")
    (tmp_path / "rooms-1.log").write_text("three\n")
    await eventually(lambda: shown == ["auth-1       | one", "auth-1       | two", "rooms-1      | three"])
    follower.cancel()


def test_the_end_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(str(number) for number in range(100)))
    assert last_lines(tmp_path / "a.log", 2) == "    98\n    99"
    assert last_lines(tmp_path / "none.log") == "    (the log is empty)"
