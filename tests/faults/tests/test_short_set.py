"""The faults that every change has to bear; `make verify` runs all of them, with more seeds and more load."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from chat_faults.catalogue import CATALOGUE
from chat_faults.report import details_of, line_of
from chat_faults.rig import start_rig
from chat_faults.runner import Runner
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
    result = await runner.run(CATALOGUE[name].scaled(LOAD), SEED)
    report = "\n".join(["", line_of(result), *details_of(result)])
    pytestconfig.get_terminal_writer().line(report)
    assert result.is_clean, report
