"""One run: servers once; then, for each pass of each workload, every target in turn.

Only one target runs at a time, and targets take turns within a workload, so that whatever else the machine
does in the course of an hour falls on all of them.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from chat_local.errors import LocalStackError, ProgramMissing
from chat_local.stack import Stack

from chat_bench import machine, native
from chat_bench.errors import NativeMissing
from chat_bench.options import Options
from chat_bench.results import Gap, Results
from chat_bench.site import Site
from chat_bench.sizes import FRAME_SIZE
from chat_bench.targets.accounts import Accounts
from chat_bench.targets.backing import backing_stack
from chat_bench.targets.chat import settings_text
from chat_bench.targets.choice import CHAT, Processes, make_targets
from chat_bench.targets.target import Target
from chat_bench.workloads.choice import make_workloads
from chat_bench.workloads.sweep import MemberSweep, ProcessSweep
from chat_bench.workloads.workload import Pass, Workload

LONGEST_REASON = 500

Report = Callable[[str], None]


class Runner:
    """Measures everything that is asked for, and notes what could not be."""

    def __init__(
        self, options: Options, folder: Path, report: Report, save: Callable[[Results], None]
    ) -> None:
        """Args:
        folder: for data and logs.
        save: gets the results after every pass, so that a run that is broken off was not for nothing.
        """
        self._options = options
        self._folder = folder
        self._report = report
        self._save = save
        self._accounts = Accounts()
        self._missing: set[str] = set()
        """Targets that cannot be started on this machine."""
        self._without_generator: NativeMissing | None = None
        """Why there is no load generator."""

    async def run(self) -> Results:
        """Measure, and return all that came out.

        Raises:
            LocalStackError: MongoDB, Redis or RabbitMQ does not start.
        """
        results = await self._empty_results()
        await self._prepare_native(results)
        async with backing_stack(self._folder) as backing:
            targets = self._targets(self._options.targets, backing, self._options.processes)
            workloads = make_workloads(self._options.workloads, self._options.sizes, self._report)
            for workload in workloads:
                await self._measure(workload, targets, results)
            if self._options.sweep:
                await self._sweep(backing, results)
        return results

    async def _empty_results(self) -> Results:
        processes = self._options.processes
        settings = {
            "command": self._options.command,
            "gateways": str(processes.gateways),
            "messaging": str(processes.messaging),
            "way in": "Traefik" if processes.through_traefik else "the gateways' own ports",
        }
        return Results(
            begun=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=await machine.describe(),
            settings=settings | settings_text(),
            targets=tuple(self._options.targets),
        )

    async def _prepare_native(self, results: Results) -> None:
        """Build the programs in C, and measure the floor."""
        hall = self._options.sizes.shapes["hall"]
        try:
            await native.build()
            results.floor = await native.measure_floor(hall.members, FRAME_SIZE)
        except NativeMissing as missing:
            self._without_generator = missing
            self._note(results, "floor", missing)

    def _targets(self, names: Sequence[str], backing: Stack, processes: Processes) -> list[Target]:
        return make_targets(names, self._folder, backing, self._accounts, processes)

    async def _sweep(self, backing: Stack, results: Results) -> None:
        sizes = self._options.sizes
        own = self._options.processes
        targets = self._targets(self._options.targets, backing, own)
        await self._measure(MemberSweep(sizes, own, self._report), targets, results)
        if CHAT not in self._options.targets:
            return
        for gateways, messaging in sizes.sweep_processes:
            processes = Processes(gateways, messaging, own.through_traefik)
            targets = self._targets([CHAT], backing, processes)
            await self._measure(ProcessSweep(sizes, processes, self._report), targets, results)

    async def _measure(self, workload: Workload, targets: Sequence[Target], results: Results) -> None:
        if workload.needs_generator and self._without_generator is not None:
            self._note(results, workload.name, self._without_generator)
            return
        for work in workload.passes:
            for target in targets:
                if target.name not in {*self._missing, *workload.leaves_out}:
                    await self._measure_one(workload.name, work, target, results)
                    self._save(results)

    async def _measure_one(self, workload: str, work: Pass, target: Target, results: Results) -> None:
        """Start a target, measure it and stop it; what fails is noted, and the rest goes on."""
        self._report(f"{workload}: {target.name}")
        try:
            await target.start()
        except ProgramMissing as missing:
            self._missing.add(target.name)
            self._note(results, target.name, missing)
            return
        except LocalStackError as failure:
            self._note(results, f"{workload} of {target.name}", failure)
            return
        try:
            await work(Site(target, self._folder), results)
        except Exception as failure:  # whatever it is: the others can still be measured
            self._note(results, f"{workload} of {target.name}", failure)
        finally:
            await target.stop()

    def _note(self, results: Results, what: str, why: Exception) -> None:
        reason = " ".join((str(why) or repr(why)).split())[:LONGEST_REASON]
        self._report(f"  not measured: {what}: {reason}")
        results.gaps.append(Gap(what=what, why=reason))
