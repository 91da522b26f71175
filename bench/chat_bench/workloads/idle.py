"""`idle`: many connections on which nothing is said."""

from collections.abc import Sequence

from chat_bench.generator import Client
from chat_bench.results import Idle, Results
from chat_bench.site import Site, clients_of, require_all
from chat_bench.workloads.workload import OnePass

FIRST = 100
"""Connections that come and go before: what is only made once does not count."""


class IdleWorkload(OnePass):
    """Users with several connections each; the same at every target."""

    name = "idle"

    async def measure(self, site: Site, results: Results) -> None:
        """Measure the memory before and with all connections."""
        circles = self._sizes.idle.circles()
        ground = await site.target.provide(circles)
        people = clients_of(ground, circles)
        await self._warm_up(site, people[:FIRST])
        empty = site.memory()
        results.idle[site.target.name] = idle = await self._fill(
            site, people * self._sizes.idle_sockets_per_user, empty
        )
        await site.target.clear(ground)
        self._report(f"  {idle.kib_per_connection:.1f} KiB per connection")

    async def _warm_up(self, site: Site, clients: Sequence[Client]) -> None:
        async with site.generator(clients) as generator:
            await generator.connect(self._sizes.idle_connects_per_second)
            await generator.close()
            await generator.idle(1)

    async def _fill(self, site: Site, clients: Sequence[Client], empty: dict[str, int]) -> Idle:
        async with site.generator(clients) as generator:
            arrivals = await generator.connect(self._sizes.idle_connects_per_second)
            require_all(arrivals, len(clients))
            await generator.idle(self._sizes.idle_settle / 2)
            reading = site.meter.start()
            left = await generator.idle(self._sizes.idle_settle / 2)
            usage = reading.usage()
            full = site.memory()
            await generator.close()
        return Idle(
            connections=left,
            empty_kib=empty,
            full_kib=full,
            cpu_share=usage.total / usage.wall_seconds,
        )
