"""`history`: what a long history costs those who open a room or leaf through it."""

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp

from chat_bench.errors import NotReached
from chat_bench.figures import Latency
from chat_bench.percentiles import latency_of
from chat_bench.results import History, HistoryTimes, Results
from chat_bench.site import Site
from chat_bench.sizes import Sizes
from chat_bench.targets.target import Ground, Page
from chat_bench.workloads.joining import Joiner
from chat_bench.workloads.workload import OnePass

SPEAKERS = range(10)
BETWEEN_SECONDS = 0.01


class HistoryWorkload(OnePass):
    """Two rooms with the same people, asked in turn, so that the machine's moods hit both alike."""

    name = "history"
    needs_generator = False

    def __init__(self, sizes: Sizes, report: Callable[[str], None]) -> None:
        super().__init__(sizes, report)
        self._counts = (sizes.history_short, sizes.history_long)

    async def measure(self, site: Site, results: Results) -> None:
        """Store both histories, then measure joins and pages."""
        ground = await site.target.provide([SPEAKERS] * len(self._counts))
        for room_id, count in zip(ground.room_ids, self._counts, strict=True):
            await site.target.store_messages(room_id, list(ground.user_ids.values()), count)
        joins = await self._joins(site, ground)
        pages = [await self._pages(site, ground, index) for index in range(len(self._counts))]
        short, long = (
            HistoryTimes(stored=count, join=join, pages=page)
            for count, join, page in zip(self._counts, joins, pages, strict=True)
        )
        results.history[site.target.name] = History(short=short, long=long)
        await site.target.clear(ground)
        self._report(
            f"  join {short.join.p50:.2f} ms with {short.stored}, {long.join.p50:.2f} with {long.stored}"
        )

    async def _joins(self, site: Site, ground: Ground) -> list[Latency]:
        """Return the times of each room."""
        seconds: list[list[float]] = [[] for _ in self._counts]
        async with Joiner(site.target.urls[0], ground.tokens[0]) as joiner:
            for _ in range(self._sizes.history_tries):
                for room_id, taken in zip(ground.room_ids, seconds, strict=True):
                    taken.append(await joiner.join(room_id))
                    await asyncio.sleep(BETWEEN_SECONDS)
        return [latency_of(taken) for taken in seconds]

    async def _pages(self, site: Site, ground: Ground, index: int) -> Mapping[str, Latency]:
        pages = await site.target.pages(ground.room_ids[index], self._counts[index])
        headers = {"authorization": f"Bearer {ground.tokens[0]}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            return {name: await self._time(http, page) for name, page in pages.items()}

    async def _time(self, http: aiohttp.ClientSession, page: Page) -> Latency:
        seconds = []
        for _ in range(self._sizes.history_tries):
            begun = time.perf_counter()
            async with http.get(page.url, params=page.params) as answer:
                body = await answer.text()
            seconds.append(time.perf_counter() - begun)
            if not answer.ok:
                raise NotReached(f"{page.url} answered {answer.status}: {body[:200]}")
        return latency_of(seconds)
