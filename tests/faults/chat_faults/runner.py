"""One run: load, the fault, healing, quiet, and then the checker over everything that clients did and saw."""

import asyncio
import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat_shared.lifecycle import TaskSet
from chat_shared.testing import ApiClient, User
from chat_shared.testing.delivery_checker import Verdict

from chat_faults.effects import missing_effects
from chat_faults.fault import Fault, Run
from chat_faults.inspection import dead_letters
from chat_faults.judging import HEAD_SECONDS, judge
from chat_faults.load import Load, make_users
from chat_faults.measure import Figure, catch_up_times, longest_silence
from chat_faults.rig import Rig
from chat_faults.witness import Witness

WARM_SECONDS = 5.0
AFTER_SECONDS = 3.0
END_SECONDS = 30.0
"""How long after healing every message must have ended."""
REMOVAL_AFTER_SECONDS = (0.3, 3.0)
"""When, after the fault began, the witness is removed."""


@dataclass
class Result:
    """What came of one run."""

    fault: Fault
    seed: int
    seconds: float = 0.0
    messages: int = 0
    repeats: int = 0
    """Attempts beyond the first one."""
    verdict: Verdict = field(default_factory=Verdict)
    findings: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every promise held; a figure that missed its goal is reported, not a broken promise."""
        return not self.findings and not any(self.verdict.counts().values())


class Runner:
    """Runs faults on one rig, with the same users and new rooms each time."""

    def __init__(self, rig: Rig, api: ApiClient) -> None:
        self._rig = rig
        self._api = api
        self._users: list[User] = []
        self._witnesses: list[User] = []
        self._number = 0

    async def run(self, fault: Fault, seed: int) -> Result:
        """Run one fault with one seed; the rig is whole again afterwards."""
        began = time.monotonic()
        result = Result(fault, seed)
        await self._need_users(fault.profile.people)
        self._number += 1
        name = f"{fault.id}-{seed}-{self._number}"
        users = self._users[: fault.profile.people]
        url = self._rig.linked_url if fault.behind_link else self._rig.url
        load = Load(self._api, url, users, fault.profile, f"{fault.id}-{seed}", name)
        run = Run(self._rig, self._api, load, random.Random(f"{fault.id}-{seed}"))
        witness = Witness(self._witnesses[0])
        try:
            await load.prepare(witness.user)
            await witness.start(self._rig.url, load.watched_room)
            await self._perform(run, fault, witness, result)
        except Exception as error:
            result.findings.append(_describe(error, "the run broke off"))
        for step in (witness.stop, self._rig.make_whole, load.close):
            try:
                await step()
            except Exception as error:  # the next step, and the next run, must not suffer from it
                result.findings.append(_describe(error, "the system did not recover"))
        result.findings += run.findings
        result.figures = run.figures
        result.seconds = time.monotonic() - began
        return result

    async def _need_users(self, count: int) -> None:
        if not self._witnesses:
            self._witnesses = await make_users(self._api, 1, "witness")
        if len(self._users) < count:
            self._users += await make_users(self._api, count - len(self._users), f"user{len(self._users)}")

    async def _perform(self, run: Run, fault: Fault, witness: Witness, result: Result) -> None:
        tasks = TaskSet()
        run.begun_at = time.monotonic()
        run.load.begin()
        await asyncio.sleep(WARM_SECONDS)
        run.broken_at = time.monotonic()
        tasks.spawn(_remove(witness, self._api, run.rng.uniform(*REMOVAL_AFTER_SECONDS)), name="removal")
        script = fault.script(run)
        await anext(script)
        run.healed_at = time.monotonic()
        await asyncio.sleep(AFTER_SECONDS)
        await run.load.end()
        unended = await run.load.settle(END_SECONDS - AFTER_SECONDS)
        run.require(not unended, f"{unended} messages had no end {END_SECONDS:g} s after healing")
        if unended:
            await run.load.give_up()
        await tasks.finish(END_SECONDS)
        await self._check(run, witness, result)
        async for _ in script:  # the measuring part of the script
            pass

    async def _check(self, run: Run, witness: Witness, result: Result) -> None:
        judgement = await judge(self._api, run.load)
        result.messages, result.repeats = _count(run)
        result.verdict = judgement.verdict
        result.verdict.leak = [*witness.leaks(), *run.leaks]
        run.findings += judgement.findings
        run.require(witness.removed_at is not None, "the removal of a member never succeeded")
        stores = (self._rig.replica_set.url, self._rig.services.amqp_url)
        run.findings += await missing_effects(*stores, judgement.heads)
        dead = await dead_letters(self._rig)
        run.require(not dead, f"dead letters: {dead}")
        _common_figures(run)


def _describe(error: Exception, what: str) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return f"{what}: {error!r:.500} at {places}"


async def _remove(witness: Witness, api: ApiClient, after: float) -> None:
    await asyncio.sleep(after)
    await witness.remove(api)


def _count(run: Run) -> tuple[int, int]:
    sent: Sequence[Any] = run.load.sent
    return len(sent), sum(max(0, message.attempts - 1) for message in sent)


def _common_figures(run: Run) -> None:
    end = run.healed_at + AFTER_SECONDS
    staying = [client.history for client in run.load.clients]
    run.note("ack p99 before", run.ack_p99(run.begun_at, run.quiet_until))
    run.note("ack p99 during", run.ack_p99(run.broken_at, run.healed_at))
    run.note("longest time without an ack", longest_silence(run.load.sent, run.broken_at, end))
    times = catch_up_times(run.load.histories, staying, run.healed_at)
    run.at_most("all members at the head after healing", max(times, default=0.0), HEAD_SECONDS)
