"""`sweep`: what a message and a delivery cost, against the size of rooms and the number of processes."""

from collections.abc import Callable

from chat_bench.figures import Step
from chat_bench.results import Results, Sweep, SweepPoint
from chat_bench.site import Site, clients_of, require_all
from chat_bench.sizes import MESSAGE_SIZE, Shape, Sizes
from chat_bench.targets.choice import Processes
from chat_bench.workloads.workload import OnePass


class _Sweep(OnePass):
    def __init__(self, sizes: Sizes, processes: Processes, report: Callable[[str], None]) -> None:
        super().__init__(sizes, report)
        self._processes = processes


class MemberSweep(_Sweep):
    """The same number of people in ever larger rooms."""

    name = "sweep over members"

    async def measure(self, site: Site, results: Results) -> None:
        """Measure one point for each size of a room."""
        points = []
        for members in self._sizes.sweep_members:
            shape = Shape(self._sizes.sweep_people // members, members, self._rate(members))
            step = await hold(site, shape, self._sizes)
            points.append(point_of(step, members, self._processes))
            self._report(f"  {members:>5} members: {step.us_per_delivery or 0:.1f} µs per delivery")
        name = site.target.name
        found = results.sweep.get(name, Sweep())
        results.sweep[name] = found.model_copy(update={"by_members": tuple(points)})

    def _rate(self, members: int) -> float:
        return min(self._sizes.sweep_deliveries / members, self._sizes.sweep_messages)


class ProcessSweep(_Sweep):
    """`rooms` at one rate; the runner changes how many processes there are."""

    leaves_out = ()

    def __init__(self, sizes: Sizes, processes: Processes, report: Callable[[str], None]) -> None:
        super().__init__(sizes, processes, report)
        self.name = f"sweep over processes ({processes.gateways} gateways, {processes.messaging} messaging)"

    async def measure(self, site: Site, results: Results) -> None:
        """Measure the point of this number of processes."""
        rooms = self._sizes.shapes["rooms"]
        shape = Shape(rooms.rooms, rooms.members, self._sizes.sweep_messages)
        step = await hold(site, shape, self._sizes)
        self._report(f"  {step.us_per_delivery or 0:.1f} µs per delivery")
        name = site.target.name
        found = results.sweep.get(name, Sweep())
        points = (*found.by_processes, point_of(step, rooms.members, self._processes))
        results.sweep[name] = found.model_copy(update={"by_processes": points})


async def hold(site: Site, shape: Shape, sizes: Sizes) -> Step:
    """Hold the rate of a shape for the full length."""
    circles = shape.circles()
    ground = await site.target.provide(circles)
    clients = clients_of(ground, circles)
    async with site.generator(clients) as generator:
        require_all(await generator.connect(), len(clients))
        await site.step(
            generator, shape.start, sizes.quick_seconds, MESSAGE_SIZE, sizes.quick_warmup, is_quick=True
        )
        step = await site.step(
            generator, shape.start, sizes.seconds, MESSAGE_SIZE, sizes.warmup, is_quick=False
        )
        await generator.close()
    await site.target.clear(ground)
    return step


def point_of(step: Step, members: int, processes: Processes) -> SweepPoint:
    """Return a point of the sweep."""
    return SweepPoint(members=members, gateways=processes.gateways, messaging=processes.messaging, step=step)
