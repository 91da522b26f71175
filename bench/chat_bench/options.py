"""What one run of the benchmark is asked to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chat_bench.sizes import Sizes
from chat_bench.targets.choice import Processes


@dataclass(frozen=True)
class Options:
    """What to measure, and where to write it."""

    workloads: Sequence[str]
    targets: Sequence[str]
    sizes: Sizes
    processes: Processes
    sweep: bool
    out: Path
    command: str
    """How to run the same again."""
