"""The page of all metrics, made from the metrics themselves."""

from collections.abc import Mapping
from types import ModuleType

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

HEAD = """# Metrics

Every process tells its own at `/metrics`, in Prometheus' text format. Nothing from outside has a way there.
`python_*` and `process_*` come from the Prometheus library. What to watch: [operations.md](operations.md).
This page is generated: `make contracts`.
"""
COLUMNS = "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n"
KINDS: Mapping[type, str] = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


def metrics_page(modules: Mapping[str, ModuleType]) -> str:
    """Return the Markdown of all metrics.

    Args:
        modules: by heading, the module that declares its metrics.
    """
    parts = [HEAD]
    for heading, module in modules.items():
        parts += [f"\n## {heading}\n\n", COLUMNS, *(_row(metric) for metric in metrics_of(module))]
    return "".join(parts)


def metrics_of(module: ModuleType) -> list[MetricWrapperBase]:
    """Return the metrics that a module declares, by name."""
    found = [value for value in vars(module).values() if isinstance(value, MetricWrapperBase)]
    return sorted(found, key=name_of)


def name_of(metric: MetricWrapperBase) -> str:
    """Return the name that a metric is queried by, without a histogram's suffixes."""
    [family] = metric.describe()
    return f"{family.name}_total" if isinstance(metric, Counter) else family.name


def _row(metric: MetricWrapperBase) -> str:
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    [family] = metric.describe()
    return f"| `{name_of(metric)}` | {KINDS[type(metric)]} | {labels} | {family.documentation} |\n"
