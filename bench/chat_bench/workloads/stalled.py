"""`stalled`: people talk, and somebody who should get all of it reads nothing."""

import asyncio

from chat_bench.figures import Run
from chat_bench.generator import Client, Generator
from chat_bench.results import Results, Stalled
from chat_bench.site import Site, clients_of, require_all
from chat_bench.sizes import MESSAGE_SIZE
from chat_bench.targets.target import Ground
from chat_bench.workloads.workload import OnePass

SAMPLE_SECONDS = 1.0


class StalledWorkload(OnePass):
    """The same talk twice: without the one who reads nothing, and with."""

    name = "stalled"

    async def measure(self, site: Site, results: Results) -> None:
        """Measure how the memory of the processes that hold connections grows."""
        shape = self._sizes.stalled
        circles = shape.circles()
        reader = shape.rooms * shape.members
        ground = await site.target.provide([[*circle, reader] for circle in circles])
        talk = results.talk.get("rooms", {}).get(site.target.name)
        rate = talk.capacity if talk and talk.capacity else shape.start
        async with site.generator(clients_of(ground, circles)) as crowd:
            require_all(await crowd.connect(), reader)
            without, _ = await self._talk(site, crowd, rate)
            stalled = await self._with_reader(site, crowd, rate, ground, reader, without)
            await crowd.close()
        results.stalled[site.target.name] = stalled
        await site.target.clear(ground)
        self._report(f"  grew by {stalled.growth_with_kib} KiB, without by {stalled.growth_without_kib} KiB")

    async def _with_reader(
        self, site: Site, crowd: Generator, rate: float, ground: Ground, reader: int, without: list[int]
    ) -> Stalled:
        client = Client(ground.tokens[reader], ground.room_ids, is_stalled=True)
        async with site.generator([client]) as stalled:
            require_all(await stalled.connect(), 1)
            samples, run = await self._talk(site, crowd, rate)
            is_closed = await stalled.idle(0) == 0
        return Stalled(
            rate=rate,
            without_kib=tuple(without),
            with_kib=tuple(samples),
            delivery_ms=run.delivery_ms,
            is_closed=is_closed,
        )

    async def _talk(self, site: Site, crowd: Generator, rate: float) -> tuple[list[int], Run]:
        """Talk, and return the memory once a second."""
        samples = [_memory(site)]
        talk = asyncio.create_task(
            crowd.run(rate, self._sizes.stalled_seconds, MESSAGE_SIZE, self._sizes.warmup)
        )
        try:
            while not (await asyncio.wait([talk], timeout=SAMPLE_SECONDS))[0]:
                samples.append(_memory(site))
            return samples, await talk
        finally:
            talk.cancel()  # where a server has ended, nobody waits for the answer


def _memory(site: Site) -> int:
    return sum(site.memory().values())
