"""The faults that every change has to bear; `make verify` runs all of them, with more seeds and more load."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from chat_faults.catalogue import CATALOGUE
from chat_faults.fault import Fault
from chat_faults.load import Crowd
from chat_faults.report import details_of, line_of
from chat_faults.rig import start_rig
from chat_faults.runner import Result, Runner
from chat_shared.testing import ApiClient

SHORT_SET = ("F01", "F04", "F06", "F12", "F14", "F16", "F24", "F25")
SEED = 1
LOAD = 0.4
"""Of the usual load: the other tests' servers are still there."""


@pytest_asyncio.fixture(scope="module")
async def runner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runner]:
    """A rig for all of them; its logs stay when a test failed."""
    folder: Path = tmp_path_factory.mktemp("faults")
    async with start_rig(folder, str(SEED)) as rig, ApiClient(rig.url) as api:
        yield Runner(rig, api)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SHORT_SET)
async def test_every_promise_is_kept(runner: Runner, name: str, pytestconfig: pytest.Config) -> None:
    await run(runner, CATALOGUE[name].scaled(LOAD), pytestconfig)


@pytest.mark.skipif(
    not (shutil.which("gcc") or shutil.which("cc")) or not shutil.which("make"),
    reason="the load generator is written in C: needs gcc and make",
)
@pytest.mark.timeout(300)
async def test_the_load_generator_saw_everything(runner: Runner, pytestconfig: pytest.Config) -> None:
    crowd = Crowd(rooms=2, members=5, rate=100, seconds=2)
    high_rate = CATALOGUE["F36"]
    result = await run(
        runner, replace(high_rate, profile=replace(high_rate.profile, crowd=crowd)), pytestconfig
    )
    figures = {figure.name: figure.value for figure in result.figures}
    assert figures["sent"] == crowd.rate * crowd.seconds
    assert figures["delivered"] >= figures["acked"] * crowd.members > 0


async def run(runner: Runner, fault: Fault, config: pytest.Config) -> Result:
    """Run a fault, say what came of it, and fail when a promise was broken."""
    result = await runner.run(fault, SEED)
    report = "\n".join(["", line_of(result), *details_of(result)])
    config.get_terminal_writer().line(report)
    assert result.is_clean, report
    return result
