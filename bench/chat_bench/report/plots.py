"""Plots that can be read at 800 pixels, with colours and markers that everybody can tell apart."""

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chat_bench.figures import Results, SweepPoint, Talk
from chat_bench.verdict import LONGEST_MS

#: Okabe and Ito, "Color Universal Design" (2008).
STYLES: Mapping[str, tuple[str, str]] = {
    "chat": ("#0072B2", "o"),
    "node": ("#D55E00", "s"),
    "stock": ("#009E73", "^"),
    "node-nondurable": ("#CC79A7", "D"),
}
FLOOR_COLOUR = "#555555"
SIZE_INCHES = (8.0, 4.8)
DPI = 160

Draw = Callable[[Axes, Results], None]


def write_plots(folder: Path, results: Results) -> list[str]:
    """Write those plots that there are figures for; return their file names."""
    mpl.use("agg")
    plots: dict[str, tuple[bool, Draw]] = {
        f"latency-{workload}.png": (True, _latency_of(workload)) for workload in results.talk
    }
    plots["cpu-per-delivery.png"] = (bool(results.talk), draw_costs)
    plots["sweep-members.png"] = (any(s.by_members for s in results.sweep.values()), draw_members)
    plots["sweep-processes.png"] = (any(s.by_processes for s in results.sweep.values()), draw_processes)
    wanted = {name: draw for name, (is_wanted, draw) in plots.items() if is_wanted}
    for name, draw in wanted.items():
        _write(folder / name, draw, results)
    return list(wanted)


def _write(path: Path, draw: Draw, results: Results) -> None:
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=True, alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes, results)
    figure.savefig(path)


def _latency_of(workload: str) -> Draw:
    def draw(axes: Axes, results: Results) -> None:
        axes.set_title(f"{workload}: how late messages arrive")
        for target, talk in results.talk[workload].items():
            colour, marker = STYLES[target]
            rates, latencies = latency_points(talk)
            axes.plot(rates, latencies, color=colour, marker=marker, label=target)
        axes.axhline(LONGEST_MS, color=FLOOR_COLOUR, linestyle="--", linewidth=1)
        axes.annotate("limit", (1, LONGEST_MS), xycoords=("axes fraction", "data"), ha="right", va="bottom")
        axes.set(xscale="log", yscale="log", xlabel="Messages per second", ylabel="p99 of deliveries (ms)")
        axes.legend(frameon=False)

    return draw


def latency_points(talk: Talk) -> tuple[list[float], list[float]]:
    """Return rates and their p99 in milliseconds: the last try of each rate, void ones left out."""
    last = {step.run.rate: step.run.delivery_ms.p99 for step in talk.steps if not step.is_void}
    points = sorted((rate, p99) for rate, p99 in last.items() if p99 is not None)
    return [rate for rate, _ in points], [p99 for _, p99 in points]


def draw_costs(axes: Axes, results: Results) -> None:
    """Draw what a delivery costs, a group of bars for each workload, and the floor."""
    targets = [name for name in STYLES if any(name in found for found in results.talk.values())]
    width = 0.8 / max(1, len(targets))
    for index, target in enumerate(targets):
        costs = [_cost(found.get(target)) for found in results.talk.values()]
        places = [group + (index - (len(targets) - 1) / 2) * width for group in range(len(costs))]
        bars = axes.bar(places, costs, width * 0.92, color=STYLES[target][0], label=target)
        axes.bar_label(bars, fmt="%.3g", fontsize=8, padding=2)
    if results.floor is not None:
        axes.axhline(
            results.floor.us_per_delivery, color=FLOOR_COLOUR, linestyle="--", label="bare write() in C"
        )
    axes.set_title("Processor time per delivery, all server processes")
    axes.set_xticks(range(len(results.talk)), list(results.talk))
    axes.set(yscale="log", ylabel="µs per delivery")
    axes.legend(frameon=False)


def _cost(talk: Talk | None) -> float:
    step = talk.at_common if talk else None
    return (step.us_per_delivery if step else None) or float("nan")


def draw_members(axes: Axes, results: Results) -> None:
    """Draw the cost of a delivery against the size of rooms."""
    for target, sweep in results.sweep.items():
        colour, marker = STYLES[target]
        sizes = [point.members for point in sweep.by_members]
        axes.plot(sizes, _costs(sweep.by_members), color=colour, marker=marker, label=target)
    if results.floor is not None:
        axes.axhline(
            results.floor.us_per_delivery, color=FLOOR_COLOUR, linestyle="--", label="bare write() in C"
        )
    axes.set_title("Processor time per delivery against the size of a room")
    axes.set(xscale="log", yscale="log", xlabel="Members of a room", ylabel="µs per delivery")
    axes.legend(frameon=False)


def draw_processes(axes: Axes, results: Results) -> None:
    """Draw the cost of a delivery for each number of processes."""
    points = [point for sweep in results.sweep.values() for point in sweep.by_processes]
    names = [f"{point.gateways} gateway-ws\n{point.messaging} messaging" for point in points]
    bars = axes.bar(range(len(points)), _costs(points), 0.6, color=STYLES["chat"][0])
    axes.bar_label(bars, fmt="%.3g", padding=2)
    axes.set_title("rooms: processor time per delivery against the number of processes")
    axes.set_xticks(range(len(points)), names)
    axes.set(ylabel="µs per delivery")


def _costs(points: "tuple[SweepPoint, ...] | list[SweepPoint]") -> list[float]:
    return [point.step.us_per_delivery or float("nan") for point in points]
