"""How plots look: readable at 800 pixels, with colours and markers that everybody can tell apart."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from chat_bench.report.tables import number

#: Okabe and Ito, "Color Universal Design" (2008).
STYLES: Mapping[str, tuple[str, str]] = {
    "chat": ("#0072B2", "o"),
    "node": ("#D55E00", "s"),
    "stock": ("#009E73", "^"),
    "node-nondurable": ("#CC79A7", "D"),
}
LINE_COLOUR = "#555555"
SIZE_INCHES = (8.0, 4.8)
DPI = 160


def new_figure() -> Figure:
    """Return an empty figure."""
    return Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")


def dress(axes: Axes, grid: str) -> None:
    """Give axes a light grid along `x`, `y` or `both`, and no frame."""
    axes.grid(visible=True, axis=grid, alpha=0.3)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def use_logarithms(axes: Axes) -> None:
    """Make both axes logarithmic, numbered as people count: 1, 2, 5, 10."""
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _place: number(value)))


def draw_line(axes: Axes, target: str, xs: Sequence[float], ys: Sequence[float]) -> None:
    """Draw the points of one target."""
    colour, marker = STYLES[target]
    axes.plot(xs, ys, color=colour, marker=marker, label=target)


def draw_bars(axes: Axes, names: Sequence[str], lengths: Sequence[float], colours: Sequence[str]) -> None:
    """Draw horizontal bars, the first one on top, with their values behind them."""
    bars = axes.barh(range(len(lengths)), lengths, 0.7, color=colours)
    axes.bar_label(bars, [number(length) for length in lengths], padding=3)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.2)


def draw_limit(axes: Axes, height: float, label: str) -> None:
    """Draw a dashed line across, with its name at the left."""
    axes.axhline(height, color=LINE_COLOUR, linestyle="--", linewidth=1)
    axes.annotate(
        label,
        (0, height),
        (4, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        color=LINE_COLOUR,
        fontsize=9,
    )
