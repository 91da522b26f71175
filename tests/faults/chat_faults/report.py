"""What a verification found, in plain words and as JSON, with the seed that repeats each run."""

import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from chat_shared.testing.delivery_checker import Verdict

from chat_faults.runner import Result

KINDS = tuple(each.name for each in fields(Verdict))
SHOWN = 3


def line_of(result: Result) -> str:
    """Return one run in one line."""
    counts = result.verdict.counts()
    broken = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count)
    outcome = "kept every promise" if result.is_clean else f"BROKEN: {broken or 'see below'}"
    return (
        f"{result.fault.id} seed {result.seed}: {outcome}; {result.messages} messages, "
        f"{result.repeats} repeats, {result.seconds:.0f} s"
    )


def details_of(result: Result) -> list[str]:
    """Return findings and figures of one run, a line each."""
    lines = [*findings_of(result.verdict, result.findings), *map(str, result.figures)]
    return [f"    {line}" for line in lines]


def findings_of(verdict: Verdict, findings: Sequence[str]) -> list[str]:
    """Return what is wrong, a line each: all that was found, and some of each kind of the verdict."""
    lines = [f"! {finding}" for finding in findings]
    for kind in KINDS:
        lines += [f"! {kind}: {each}" for each in getattr(verdict, kind)[:SHOWN]]
    return lines


def counts_line(counts: Mapping[str, int]) -> str:
    """Return how many broken promises of each kind there are, in words."""
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())


def summary_of(results: Sequence[Result]) -> str:
    """Return the whole in a few lines."""
    totals = {kind: sum(result.verdict.counts()[kind] for result in results) for kind in KINDS}
    broken = [result for result in results if not result.is_clean]
    missed = [(result, figure) for result in results for figure in result.figures if figure.met is False]
    lines = [
        f"{len(results)} runs of {len({result.fault.id for result in results})} faults, "
        f"{sum(result.messages for result in results)} messages: " + counts_line(totals)
    ]
    lines += [f"broken: {_repeat(result)}" for result in broken]
    lines += [f"goal missed: {result.fault.id} seed {result.seed}: {figure}" for result, figure in missed]
    return "\n".join(lines)


def _repeat(result: Result) -> str:
    """Return the command that runs the same again."""
    crowd = result.fault.profile.crowd
    rate = f" RATE={crowd.rate:g}" if crowd else ""
    return f"make verify FAULT={result.fault.id} SEED={result.seed}{rate}"


def write_json(path: Path, results: Sequence[Result]) -> None:
    """Write everything that is known of the runs."""
    document = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"python": platform.python_version(), "system": platform.platform()},
        "runs": [_as_json(result) for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1))


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "fault": result.fault.id,
        "title": result.fault.title,
        "expects": result.fault.expects,
        "seed": result.seed,
        "repeat": _repeat(result),
        "clean": result.is_clean,
        "seconds": round(result.seconds, 1),
        "messages": result.messages,
        "repeats": result.repeats,
        "counts": result.verdict.counts(),
        "verdict": asdict(result.verdict),
        "findings": result.findings,
        "figures": [{**asdict(figure), "met": figure.met} for figure in result.figures],
    }
