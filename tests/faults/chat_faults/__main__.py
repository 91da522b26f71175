"""`make verify`: run faults on a rig of their own and say whether every promise was kept."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from chat_local.console import allow_many_sockets
from chat_shared.testing import ApiClient

from chat_faults.catalogue import CATALOGUE
from chat_faults.elsewhere import MAX_MINUTES, verify_elsewhere
from chat_faults.fault import Fault
from chat_faults.report import details_of, line_of, summary_of, write_json
from chat_faults.rig import start_rig
from chat_faults.runner import Result, Runner
from chat_faults.soak import soak

SEEDS = (1, 2, 3)
HIGH_RATE = "F36"
REPORT = Path(".chat/verify/report.json")


def main(
    fault: Annotated[str, typer.Option(help="Which ones, comma-separated; all when empty.")] = "",
    seed: Annotated[str, typer.Option(help="One seed; 1, 2 and 3 when empty.")] = "",
    minutes: Annotated[str, typer.Option(help="Soak: draw from the faults for so long.")] = "",
    rate: Annotated[
        str, typer.Option(help=f"Messages per second of {HIGH_RATE}; alone when no fault is named.")
    ] = "",
    load: Annotated[float, typer.Option(min=0.05, help="How much load, compared with the usual one.")] = 1.0,
    url: Annotated[
        str, typer.Option(help="Break nothing: only load, for MINUTES, on what runs there already.")
    ] = "",
    keep: Annotated[bool, typer.Option(help="Keep data and logs of the rig.")] = False,
) -> None:
    """Break the system on purpose, under load, and check that nothing acknowledged was lost."""
    allow_many_sockets()
    logging.getLogger("engineio.client").setLevel(logging.CRITICAL)  # that we break connections is no news
    if url:
        if (length := float(minutes or 1)) > MAX_MINUTES:
            raise typer.BadParameter(f"at most {MAX_MINUTES} minutes with a URL")
        is_clean = asyncio.run(verify_elsewhere(url, length * 60, load, seed or "1", typer.echo))
        raise typer.Exit(0 if is_clean else 1)
    faults = [each.scaled(load) for each in _choose(fault or (HIGH_RATE if rate else ""))]
    if rate:
        faults = [each.at_rate(float(rate)) if each.profile.crowd else each for each in faults]
    seeds = [int(seed)] if seed else list(SEEDS)
    folder = Path(tempfile.mkdtemp(prefix="chat-verify-"))
    typer.echo(f"Logs: {folder}")
    if minutes:
        results = asyncio.run(soak(folder, faults, seeds[0], float(minutes) * 60, typer.echo))
    else:
        results = asyncio.run(_verify(folder, faults, seeds))
    typer.echo(summary_of(results))
    write_json(REPORT, results)
    typer.echo(f"Report: {REPORT}")
    is_clean = all(result.is_clean for result in results)
    if is_clean and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(0 if is_clean else 1)


def _choose(names: str) -> list[Fault]:
    chosen = [name.strip().upper() for name in names.split(",") if name.strip()] or sorted(CATALOGUE)
    unknown = [name for name in chosen if name not in CATALOGUE]
    if unknown:
        raise typer.BadParameter(f"no such fault: {', '.join(unknown)}; there are {', '.join(CATALOGUE)}")
    return [CATALOGUE[name] for name in chosen]


async def _verify(folder: Path, faults: Sequence[Fault], seeds: Sequence[int]) -> list[Result]:
    """Run each fault with each seed, on one rig for all that need the same one."""
    results: list[Result] = []
    by_size = sorted(faults, key=lambda each: each.messaging)
    for messaging, alike in groupby(by_size, key=lambda each: each.messaging):
        async with AsyncExitStack() as stack:
            place = folder / f"messaging-{messaging}"
            rig = await stack.enter_async_context(start_rig(place, str(seeds[0]), messaging=messaging))
            api = await stack.enter_async_context(ApiClient(rig.url))
            runner = Runner(rig, api)
            for fault in alike:
                typer.echo(f"{fault.id} {fault.title}: {fault.expects}")
                for seed in seeds:
                    result = await runner.run(fault, seed)
                    results.append(result)
                    typer.echo("\n".join([f"  {line_of(result)}", *details_of(result)]))
    return results


if __name__ == "__main__":
    typer.run(main)
