"""The benchmark once from end to end, with a few users for seconds."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from chat_bench.results import Results
from chat_bench.sizes import SMALL

WORKLOADS = "rooms,storm,stalled"


@pytest.mark.timeout(600)
async def test_measures_and_reports(tmp_path: Path) -> None:
    bench = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chat_bench", "--small", "--workloads", WORKLOADS),
        *("--targets", "chat", "--out", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await bench.communicate()
    finally:
        if bench.returncode is None:
            bench.send_signal(signal.SIGINT)
            await bench.wait()
    assert bench.returncode == 0, said.decode()
    results = Results.model_validate_json((tmp_path / "results.json").read_bytes())
    rooms = results.talk["rooms"]
    assert set(rooms) == set(results.storm) == {"chat"}
    steps = [step for talk in rooms.values() for step in talk.steps]
    assert all(step.run.lost == step.run.doubled == 0 for step in steps)
    assert all("gateway-ws" in step.usage.seconds for step in rooms["chat"].steps)
    stalled = results.stalled["chat"]
    assert stalled.rate == (rooms["chat"].capacity or SMALL.stalled.start)
    assert min(len(stalled.without_kib), len(stalled.with_kib)) > 1
    assert not stalled.is_closed, "in two seconds nothing piles up"
    assert results.floor is not None
    assert "## `storm`" in (tmp_path / "report.md").read_text()
