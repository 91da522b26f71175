"""The plots of the report."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from chat_bench.figures import Step
from chat_bench.report.plot_style import (
    LINE_COLOUR,
    STYLES,
    draw_bars,
    draw_limit,
    draw_line,
    dress,
    new_figure,
    use_logarithms,
)
from chat_bench.results import Results, SweepPoint, Talk
from chat_bench.verdict import LONGEST_MS

FLOOR = "bare write() in C"
NOTHING = float("nan")

Draw = Callable[[Figure, Results], None]


def write_plots(folder: Path, results: Results) -> list[str]:
    """Write those plots that there are figures for; return their file names."""
    sweeps = results.sweep.values()
    plots: Mapping[str, tuple[bool, Draw]] = {
        **{f"latency-{name}.png": (True, partial(draw_latency, name)) for name in results.talk},
        "cpu-per-delivery.png": (bool(_compared(results)), draw_costs),
        "sweep-members.png": (any(sweep.by_members for sweep in sweeps), draw_members),
        "sweep-processes.png": (any(sweep.by_processes for sweep in sweeps), draw_processes),
    }
    wanted = {name: draw for name, (is_wanted, draw) in plots.items() if is_wanted}
    for name, draw in wanted.items():
        figure = new_figure()
        draw(figure, results)
        figure.savefig(folder / name)
    return list(wanted)


def draw_latency(workload: str, figure: Figure, results: Results) -> None:
    """Draw how late messages arrive at each rate."""
    axes = figure.add_subplot()
    dress(axes, "both")
    axes.set_title(f"{workload}: how late messages arrive")
    axes.set(xlabel="Messages per second", ylabel="99th percentile of deliveries (ms)")
    for target, talk in results.talk[workload].items():
        draw_line(axes, target, *latency_points(talk))
    use_logarithms(axes)
    draw_limit(axes, LONGEST_MS, "limit")
    axes.legend(frameon=False)


def latency_points(talk: Talk) -> tuple[list[float], list[float]]:
    """Return rates and their p99 in milliseconds: the last try of each rate, void ones left out."""
    last = {step.run.rate: step.run.delivery_ms.p99 for step in talk.steps if not step.is_void}
    points = sorted((rate, p99) for rate, p99 in last.items() if p99 is not None)
    return [rate for rate, _ in points], [p99 for _, p99 in points]


def draw_costs(figure: Figure, results: Results) -> None:
    """Draw what a delivery costs: a panel for each workload, since they differ by far, and the floor."""
    compared = _compared(results)
    targets = [name for name in STYLES if any(name in steps for steps in compared.values())]
    figure.suptitle("Processor time per delivery, all server processes, at the same rate")
    for index, (workload, steps) in enumerate(compared.items(), start=1):
        axes = figure.add_subplot(1, len(compared), index)
        dress(axes, "x")
        costs = [_cost(steps.get(name)) for name in targets]
        if results.floor is not None:
            costs.append(results.floor.us_per_delivery)
        colours = [*(STYLES[name][0] for name in targets), LINE_COLOUR][: len(costs)]
        names = [*targets, FLOOR][: len(costs)] if index == 1 else [""] * len(costs)
        draw_bars(axes, names, costs, colours)
        axes.set_title(workload, fontsize=11)
        axes.set_xlabel("µs per delivery")


def _compared(results: Results) -> dict[str, dict[str, Step]]:
    """Return the steps at the common rate, by workload and target; without workloads that have none."""
    found = {
        workload: {name: talk.at_common for name, talk in talks.items() if talk.at_common}
        for workload, talks in results.talk.items()
    }
    return {workload: steps for workload, steps in found.items() if steps}


def draw_members(figure: Figure, results: Results) -> None:
    """Draw the cost of a delivery against the size of rooms."""
    axes = figure.add_subplot()
    dress(axes, "both")
    axes.set_title("Processor time per delivery against the size of rooms")
    axes.set(xlabel="Members of a room", ylabel="µs per delivery")
    for target, sweep in results.sweep.items():
        draw_line(axes, target, [point.members for point in sweep.by_members], _costs(sweep.by_members))
    use_logarithms(axes)
    if results.floor is not None:
        draw_limit(axes, results.floor.us_per_delivery, FLOOR)
    axes.legend(frameon=False)


def draw_processes(figure: Figure, results: Results) -> None:
    """Draw the cost of a delivery for each number of processes."""
    axes = figure.add_subplot()
    dress(axes, "x")
    points = [point for sweep in results.sweep.values() for point in sweep.by_processes]
    names = [f"{point.gateways} gateway-ws\n{point.messaging} messaging" for point in points]
    draw_bars(axes, names, _costs(points), [STYLES["chat"][0]] * len(points))
    axes.set_title("rooms: processor time per delivery against the number of processes")
    axes.set_xlabel("µs per delivery")


def _costs(points: Sequence[SweepPoint]) -> list[float]:
    return [_cost(point.step) for point in points]


def _cost(step: Step | None) -> float:
    return (step.us_per_delivery if step else None) or NOTHING
