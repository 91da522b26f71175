"""The command line: `make bench`."""

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from chat_local.console import allow_many_sockets
from chat_local.errors import LocalStackError

from chat_bench.errors import BenchError
from chat_bench.machine import command_line
from chat_bench.options import Options
from chat_bench.report.writing import JSON_NAME, write_json, write_report
from chat_bench.results import Results
from chat_bench.runner import Runner
from chat_bench.sizes import SMALL, Sizes
from chat_bench.targets.choice import NAMES as TARGETS
from chat_bench.targets.choice import Processes
from chat_bench.workloads.choice import NAMES as WORKLOADS

OUT = Path(".chat/bench")

app = typer.Typer(add_completion=False)


def chosen(text: str, known: tuple[str, ...]) -> list[str]:
    """Return the names of a comma-separated list in the usual order; all when it is empty.

    Raises:
        BadParameter: one of them is not known.
    """
    names = {name.strip().lower() for name in text.split(",") if name.strip()} or set(known)
    if unknown := names - set(known):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not among {', '.join(known)}")
    return [name for name in known if name in names]


@app.command()
def main(
    workloads: Annotated[str, typer.Option(help="Comma-separated; all when empty.")] = "",
    targets: Annotated[str, typer.Option(help="Comma-separated; all when empty.")] = "",
    gateways: Annotated[int, typer.Option(min=1, max=16, help="Gateways, and processes of a peer.")] = 1,
    messaging: Annotated[int, typer.Option(min=1, max=16, help="Processes of messaging.")] = 1,
    seconds: Annotated[float, typer.Option(min=1, help="Length of a step, without its warm-up.")] = 10,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = OUT,
    through_traefik: Annotated[
        bool, typer.Option("--through-traefik", help="Reach ours through Traefik; peers have no proxy.")
    ] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also against the size of rooms and the number of processes.")
    ] = False,
    only_sweep: Annotated[bool, typer.Option("--only-sweep", help="The sweep and nothing else.")] = False,
    small: Annotated[
        bool, typer.Option("--small", help="A few users for seconds: shows that it works, measures nothing.")
    ] = False,
    report_of: Annotated[
        Path | None, typer.Option(help="Measure nothing: write the report of this JSON file anew.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep data and logs.")] = False,
) -> None:
    """Measure our services and their peers in one run, and write a report."""
    if report_of is not None:
        write_report(out, Results.model_validate_json(report_of.read_bytes()))
        typer.echo(f"Report: {out}")
        return
    options = Options(
        workloads=[] if only_sweep else chosen(workloads, WORKLOADS),
        targets=chosen(targets, TARGETS),
        sizes=SMALL if small else Sizes(seconds=seconds),
        processes=Processes(gateways, messaging, through_traefik),
        sweep=sweep or only_sweep,
        out=out,
        command=command_line(sys.argv[1:]),
    )
    allow_many_sockets()
    raise typer.Exit(_measure(options, keep))


def _measure(options: Options, keep: bool) -> int:
    """Run, write the report, and return the exit code: 1 when something was not measured."""
    folder = Path(tempfile.mkdtemp(prefix="chat-bench-"))
    typer.echo(f"Logs: {folder}")
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        results = asyncio.run(_until_signal(options, folder))
    except (BenchError, LocalStackError) as failure:
        typer.echo(f"Nothing was measured. {failure}", err=True)
        return 1
    except asyncio.CancelledError:
        typer.echo(f"Broken off; what was measured until then is in {options.out / JSON_NAME}", err=True)
        return 130
    write_report(options.out, results)
    typer.echo(f"Report: {options.out}")
    for gap in results.gaps:
        typer.echo(f"Not measured: {gap.what}: {gap.why}", err=True)
    if not keep and not results.gaps:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if results.gaps else 0


async def _until_signal(options: Options, folder: Path) -> Results:
    """Run; a signal ends it in order, with all its processes."""
    task = asyncio.create_task(
        Runner(options, folder, _say, lambda results: write_json(options.out, results)).run()
    )

    def end(sig: signal.Signals) -> None:
        _say(f"Stopping: {sig.name}")
        task.cancel()

    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sig) is not signal.SIG_IGN:  # as SIGHUP is under nohup
            asyncio.get_running_loop().add_signal_handler(sig, end, sig)
    return await task


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()
