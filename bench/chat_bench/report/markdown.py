"""The report as one Markdown page."""

from collections.abc import Mapping, Sequence

from chat_bench.goals import Goal, goals_of
from chat_bench.report.other_tables import (
    floor_table,
    history_table,
    idle_table,
    members_table,
    processes_table,
    stalled_table,
    storm_table,
)
from chat_bench.report.tables import number, table
from chat_bench.report.talk_tables import cost_table, half_table, limits_table, spenders_table
from chat_bench.report.words import FLOOR, HISTORY, IDLE, RULES, STALLED, STORM
from chat_bench.results import Results, Talk


def report_text(results: Results, plots: Sequence[str]) -> str:
    """Return the page.

    Args:
        plots: the file names of the plots beside it.
    """
    parts = [
        f"# Benchmark of {results.begun}",
        RULES,
        "## Goals",
        goals_table(goals_of(results)),
        *_gaps(results),
        *(part for name, found in results.talk.items() for part in _talk_parts(name, found)),
        *_other_parts(results),
        *(f"![{name}]({name})" for name in plots),
        "## The machine",
        _facts(results.machine),
        "## The run",
        "Settings of ours that differ from what is delivered are limits per user and per address.",
        _facts(results.settings),
    ]
    return "\n\n".join(parts) + "\n"


def goals_table(goals: Sequence[Goal]) -> str:
    """Return each goal, what was measured, and whether that is enough."""
    words = {True: "met", False: "**missed**", None: "not measured"}
    rows = [
        [
            goal.text,
            f"{'≥' if goal.is_at_least else '≤'} {number(goal.limit)}{goal.unit}",
            f"{number(goal.measured)}{goal.unit if goal.measured is not None else ''}",
            words[goal.is_met],
        ]
        for goal in goals
    ]
    return table(("Goal", "Limit", "Measured", ""), rows)


def _gaps(results: Results) -> list[str]:
    if not results.gaps:
        return []
    lines = [f"- {gap.what}: {gap.why}" for gap in results.gaps]
    return ["## What was not measured", "\n".join(lines)]


def _talk_parts(name: str, found: Mapping[str, Talk]) -> list[str]:
    return [
        f"## `{name}`",
        limits_table(found),
        "At half of the rate that the careful Node peer holds:",
        half_table(found),
        "Processor time at one rate, of those that hold it:",
        cost_table(found),
        spenders_table(found),
    ]


def _other_parts(results: Results) -> list[str]:
    parts = []
    if results.storm:
        parts += ["## `storm`", STORM, storm_table(results.storm)]
    if results.idle:
        parts += ["## `idle`", IDLE, idle_table(results.idle)]
    if results.stalled:
        parts += ["## `stalled`", STALLED, stalled_table(results.stalled)]
    if results.history:
        parts += ["## `history`", HISTORY, history_table(results.history)]
    if results.sweep:
        parts += ["## Cost against the size of rooms", members_table(results.sweep)]
        parts += ["## Cost against the number of processes", processes_table(results.sweep)]
    return [*parts, "## The floor: bare writes in C", FLOOR, floor_table(results.floor)]


def _facts(facts: Mapping[str, str]) -> str:
    return table(("What", "Value"), [[name, value] for name, value in facts.items()])
