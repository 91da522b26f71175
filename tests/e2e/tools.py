"""Running the tools that tests need beside Python."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACT_TOOLS = ROOT / "tests/contracts/js"


async def run_tool(
    program: str | Path,
    *arguments: str,
    folder: Path,
    timeout: float,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Run a program that has to end with success, and return all that it said.

    Args:
        folder: where it runs.
        timeout: seconds; it is killed then.
        environ: variables beside our own.

    Raises:
        AssertionError: it failed, with all that it said.
        TimeoutError: it did not end in time.
    """
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environ or {})},
    )
    try:
        async with asyncio.timeout(timeout):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{program} ended with {process.returncode}:\n{said.decode()}"
    return said.decode()
