"""The workloads by name."""

from collections.abc import Callable, Mapping, Sequence

from chat_bench.sizes import Sizes
from chat_bench.workloads.history import HistoryWorkload
from chat_bench.workloads.idle import IdleWorkload
from chat_bench.workloads.stalled import StalledWorkload
from chat_bench.workloads.storm import StormWorkload
from chat_bench.workloads.talk import TalkWorkload
from chat_bench.workloads.workload import Workload

TALK = ("rooms", "hall", "pairs")
NAMES = (*TALK, "storm", "idle", "stalled", "history")


def make_workloads(names: Sequence[str], sizes: Sizes, report: Callable[[str], None]) -> list[Workload]:
    """Return workloads in the order of the names."""
    makers: Mapping[str, Callable[[], Workload]] = {
        "storm": lambda: StormWorkload(sizes, report),
        "idle": lambda: IdleWorkload(sizes, report),
        "stalled": lambda: StalledWorkload(sizes, report),
        "history": lambda: HistoryWorkload(sizes, report),
    }
    return [
        TalkWorkload(name, sizes.shapes[name], sizes, report) if name in TALK else makers[name]()
        for name in names
    ]
