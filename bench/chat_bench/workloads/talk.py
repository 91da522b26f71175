"""`rooms`, `hall`, `pairs`: people talk, faster and faster, until a target cannot follow."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from chat_bench.figures import Step
from chat_bench.generator import Generator
from chat_bench.ladder import Ladder, Outcome, Rung, rounded
from chat_bench.results import Results, Talk
from chat_bench.site import Site, clients_of, require_all
from chat_bench.sizes import MESSAGE_SIZE, Shape, Sizes
from chat_bench.targets.choice import NODE
from chat_bench.workloads.workload import Pass

Report = Callable[[str], None]

COMMON_SHARE = 0.5
"""Where the Node peer was not measured: the rate at which processor time is compared, as a share of what the
weakest target holds."""
RECONNECTS = 5
REST_SECONDS = 2.0
"""For a server to get done with arrivals, or with what it did not manage."""


class TalkWorkload:
    """First everybody's highest rate; then rates that depend on it, the same for all."""

    needs_generator = True
    leaves_out = ()

    def __init__(self, name: str, shape: Shape, sizes: Sizes, report: Report) -> None:
        self.name = name
        self._shape = shape
        self._sizes = sizes
        self._report = report

    @property
    def passes(self) -> Sequence[Pass]:
        """The search, then the comparison."""
        return [self.search, self.compare]

    async def search(self, site: Site, results: Results) -> None:
        """Find the highest rate that the target holds."""
        ladder = Ladder(self._shape.start, self._sizes.highest_rate)
        steps: list[Step] = []
        async with self._crowd(site) as generator:
            while (rung := ladder.next) is not None:
                step = await self._try(site, generator, rung)
                steps.append(step)
                ladder.note(_outcome(step))
        talk = Talk(
            members=self._shape.members,
            steps=tuple(steps),
            capacity=ladder.capacity,
            ended_by=ladder.ended_by,
            in_order=max((step.run.rate for step in steps if is_in_order(step)), default=0),
        )
        results.talk.setdefault(self.name, {})[site.target.name] = talk
        self._report(f"  holds {talk.capacity:.4g} messages/s; {talk.ended_by}")

    async def compare(self, site: Site, results: Results) -> None:
        """Measure at the rates that are the same for all targets."""
        found = results.talk.get(self.name, {})
        talk = found.get(site.target.name)
        if talk is None:
            return
        half, common = half_rate(found), compared_rate(found, site.target.name)
        async with self._crowd(site) as generator:
            if common:  # neither cold caches nor a cold compiler are what is compared
                await self._try(site, generator, Rung(common, is_quick=True))
            at_half = await self._hold(site, generator, half) if half else None
            at_common = (at_half or await self._hold(site, generator, common)) if common else None
        found[site.target.name] = talk.model_copy(update={"at_half": at_half, "at_common": at_common})

    @asynccontextmanager
    async def _crowd(self, site: Site) -> AsyncIterator[Generator]:
        """Everybody is connected and has joined; afterwards everybody leaves the rooms."""
        circles = self._shape.circles()
        ground = await site.target.provide(circles)
        clients = clients_of(ground, circles)
        async with site.generator(clients) as generator:
            require_all(await generator.connect(), len(clients))
            await generator.idle(REST_SECONDS)
            yield generator
            await generator.close()
        await site.target.clear(ground)

    async def _try(self, site: Site, generator: Generator, rung: Rung) -> Step:
        sizes = self._sizes
        seconds = sizes.quick_seconds if rung.is_quick else sizes.seconds
        warmup = sizes.quick_warmup if rung.is_quick else sizes.warmup
        step = await site.step(generator, rung.rate, seconds, MESSAGE_SIZE, warmup, is_quick=rung.is_quick)
        self._report(f"  {line_of(step)}")
        if not step.held:
            await self._begin_anew(generator)
        return step

    async def _hold(self, site: Site, generator: Generator, rate: float) -> Step:
        """Hold a rate for the full length; once more when the generator was late."""
        step = await self._try(site, generator, Rung(rate, is_quick=False))
        return await self._try(site, generator, Rung(rate, is_quick=False)) if step.is_void else step

    async def _begin_anew(self, generator: Generator) -> None:
        """Connect everybody again; a server that is still busy with what it missed gets some time."""
        people = self._shape.rooms * self._shape.members
        for number in range(1, RECONNECTS + 1):
            await generator.close()
            await generator.idle(REST_SECONDS * number)
            arrivals = await generator.connect()
            if arrivals.joined == people:
                return
        require_all(arrivals, people)


def half_rate(found: dict[str, Talk]) -> float:
    """Return half of what the careful Node peer holds, 0 when it was not measured."""
    return rounded(found[NODE].capacity / 2) if NODE in found else 0


def compared_rate(found: dict[str, Talk], name: str) -> float:
    """Return the rate at which a target's processor time is compared, 0 when it does not hold that one.

    It is half of what the Node peer holds. Down at a rate that the weakest holds, all that is seen is what
    idle processes cost. Without the peer it is what all hold with ease.
    """
    weakest = min((talk.capacity for talk in found.values() if talk.capacity), default=0)
    rate = half_rate(found) or rounded(weakest * COMMON_SHARE)
    return rate if found[name].capacity >= rate else 0


def is_in_order(step: Step) -> bool:
    """Tell whether a rate was held and everything came in order."""
    return step.held and not step.run.out_of_order


def line_of(step: Step) -> str:
    """Return a step in a line."""
    run = step.run
    end = "void: the generator was late" if step.is_void else ", ".join(step.faults) or "held"
    if run.out_of_order and not step.faults:
        end += f", {run.out_of_order} out of order"
    p99 = run.delivery_ms.p99
    return f"{run.rate:>8.1f}/s  p99 {p99 if p99 is not None else float('nan'):>7.1f} ms  {end}"


def _outcome(step: Step) -> Outcome:
    if step.is_void:
        return Outcome.VOID
    return Outcome.HELD if step.held else Outcome.MISSED
