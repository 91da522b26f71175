"""Waiting for a condition instead of for time to pass."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

ValueT = TypeVar("ValueT")

POLL_SECONDS = 0.02
DEADLINE_SECONDS = 5.0


@overload
async def eventually(
    check: Callable[[], Awaitable[ValueT]], timeout: float = ..., what: str = ...
) -> ValueT: ...
@overload
async def eventually(check: Callable[[], ValueT], timeout: float = ..., what: str = ...) -> ValueT: ...
async def eventually(check: Callable[[], Any], timeout: float = DEADLINE_SECONDS, what: str = "") -> Any:
    """Return the first true value of `check`, which may fail assertions until then.

    Args:
        check: a function, plain or async, that is asked again and again.
        timeout: seconds.
        what: what is waited for, in words; part of the failure.

    Raises:
        AssertionError: it did not become true in time; says what came last.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        failure: AssertionError | None = None
        value: Any = None
        try:
            outcome = check()
            value = await outcome if inspect.isawaitable(outcome) else outcome
            if value:
                return value
        except AssertionError as error:
            failure = error
        if loop.time() > deadline:
            raise AssertionError(f"{what or 'condition'}: not within {timeout} s; last: {failure or value!r}")
        await asyncio.sleep(POLL_SECONDS)
