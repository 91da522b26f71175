"""`storm`: everybody connects and joins at once, as after the loss of a gateway."""

import asyncio

from chat_bench.generator import Generator
from chat_bench.results import Results, Storm
from chat_bench.site import Site, clients_of
from chat_bench.workloads.workload import OnePass


class StormWorkload(OnePass):
    """Several rounds, each of which finds everybody offline."""

    name = "storm"

    async def measure(self, site: Site, results: Results) -> None:
        """Measure what the arrival of everybody costs."""
        circles = self._sizes.storm.circles()
        ground = await site.target.provide(circles)
        rounds = []
        async with site.generator(clients_of(ground, circles)) as generator:
            for number in range(self._sizes.storm_rounds):
                if number > 0:
                    await asyncio.sleep(site.target.forgets_seconds)
                rounds.append(await self._round(site, generator))
                await generator.close()
        await site.target.clear(ground)
        rounds.sort(key=lambda each: each.usage.total)
        storm = rounds[len(rounds) // 2]
        results.storm[site.target.name] = storm
        self._report(
            f"  {storm.ms_per_join or 0:.2f} ms of processor time each, {storm.arrivals.seconds:.1f} s"
        )

    async def _round(self, site: Site, generator: Generator) -> Storm:
        reading = site.meter.start()
        arrivals = await generator.connect()
        await generator.idle(self._sizes.storm_settle)
        return Storm(arrivals=arrivals, usage=reading.usage())
