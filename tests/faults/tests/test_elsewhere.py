"""The checker for an installation that runs elsewhere."""

from typing import TYPE_CHECKING

import pytest
from chat_faults import elsewhere
from chat_faults.judging import Judgement
from chat_faults.load import Load
from chat_shared.testing import ApiClient
from chat_shared.testing.delivery_checker import Verdict

if TYPE_CHECKING:
    from chat_local.stack import Stack

SECONDS = 3.0
LOAD = 0.5


async def test_an_installation_in_order_keeps_every_promise(stack: "Stack") -> None:
    said: list[str] = []
    assert await elsewhere.verify_elsewhere(stack.url, SECONDS, LOAD, "1", said.append), said
    assert "lost 0, dup 0" in said[-1]
    assert not said[-1].startswith("0 messages")
    assert any("without an answer: 0" in line for line in said)


async def test_what_is_lost_is_said_and_decides(stack: "Stack", monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing can be cleaned up any more."""

    async def judge(_api: ApiClient, _load: Load) -> Judgement:
        return Judgement(Verdict(lost=["the first one"]), {})

    close = Load.close

    async def close_badly(load: Load) -> None:
        await close(load)
        raise OSError("gone")

    monkeypatch.setattr(elsewhere, "judge", judge)
    monkeypatch.setattr(Load, "close", close_badly)
    said: list[str] = []
    assert not await elsewhere.verify_elsewhere(stack.url, SECONDS, LOAD, "2", said.append)
    assert any("lost: the first one" in line for line in said)
    assert any("left behind" in line for line in said)
