"""The programs in C: built with make when they are missing or old, and run."""

import asyncio
import shutil
from pathlib import Path

from chat_bench.errors import NativeMissing
from chat_bench.results import Floor

FOLDER = Path(__file__).resolve().parents[1] / "native"
LOADGEN = FOLDER / "build" / "loadgen"
FLOOR = FOLDER / "build" / "floor"
FLOOR_DELIVERIES = 300_000


async def build() -> None:
    """Build both programs.

    Raises:
        NativeMissing: there is no compiler, or it does not accept them.
    """
    if shutil.which("make") is None or (shutil.which("cc") is None and shutil.which("gcc") is None):
        raise NativeMissing("a C compiler and make are missing: sudo apt-get install gcc make libc6-dev")
    make = await asyncio.create_subprocess_exec(
        *("make", "--silent", "-C", str(FOLDER)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await make.communicate()
    if make.returncode != 0 or not LOADGEN.exists():
        raise NativeMissing(f"{FOLDER} does not compile: {said.decode(errors='replace').strip()[-500:]}")


async def measure_floor(sockets: int, size: int) -> Floor:
    """Return what bare writes to this many sockets cost.

    Args:
        sockets: how many connections.
        size: bytes of a frame.

    Raises:
        NativeMissing: the program fails.
    """
    messages = max(1, FLOOR_DELIVERIES // sockets)
    floor = await asyncio.create_subprocess_exec(
        *(str(FLOOR), str(sockets), str(messages), str(size)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, complaints = await floor.communicate()
    if floor.returncode != 0:
        raise NativeMissing(f"floor: {complaints.decode(errors='replace').strip()}")
    return Floor.model_validate_json(answer)
