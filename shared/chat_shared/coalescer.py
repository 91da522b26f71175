"""Questions that many ask at the same time, put to another process in one call."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextvars import Context
from itertools import islice
from typing import Generic, TypeVar

from chat_shared.lifecycle import TaskSet

QuestionT = TypeVar("QuestionT", bound=Hashable)
AnswerT = TypeVar("AnswerT")

PATIENCE_SECONDS = 0.025
"""Longer than this, or the pause, nobody waits behind a call that is under way: it may hang."""


class Coalescer(Generic[QuestionT, AnswerT]):
    """Collects questions and asks them together.

    A call begins after each of its questions was asked, so its answer is as new as one of the asker's own.
    With nothing under way a question goes out in the next turn of the event loop. Or else it waits for the
    call under way to end, within bounds, so the more are asked, the more share a call.
    """

    def __init__(
        self,
        call: Callable[[list[QuestionT]], Awaitable[Mapping[QuestionT, AnswerT]]],
        *,
        most: int,
        pause: float = 0,
    ) -> None:
        """Args:
        call: asks questions, no two of which are equal. What it leaves out is asked again; it answers one
            at least.
        most: questions in one call.
        pause: seconds between the beginnings of two calls, for those that cost much: a crowd waits so long.
        """
        self._call = call
        self._most = most
        self._pause = pause
        self._next_call = 0.0
        """When the next call may begin, by the loop's clock."""
        self._waiting: dict[QuestionT, asyncio.Future[AnswerT]] = {}
        self._start: asyncio.Handle | None = None
        self._calls = TaskSet()

    async def ask(self, question: QuestionT) -> AnswerT:
        """Return the answer; raise what the call raises, as everybody does whose question was in it."""
        outcome = self._waiting.get(question)
        if outcome is None:
            outcome = self._waiting[question] = asyncio.get_running_loop().create_future()
            self._schedule()
        return await asyncio.shield(outcome)

    def _schedule(self) -> None:
        if self._start is not None or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = max(self._next_call, now + PATIENCE_SECONDS if len(self._calls) else now)
        self._start = loop.call_at(at, self._begin) if at > now else loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._start = None
        self._next_call = asyncio.get_running_loop().time() + self._pause
        questions = list(islice(self._waiting, self._most))
        batch = {question: self._waiting.pop(question) for question in questions}
        # In a context of its own: the answer is for all, so the deadline of one must not cut it short.
        task = Context().run(lambda: self._calls.spawn(self._answer(batch), name="coalesced-call"))
        task.add_done_callback(self._ended)
        self._schedule()

    def _ended(self, _task: asyncio.Task[None]) -> None:
        if self._start is not None and not len(self._calls):
            self._start.cancel()
            self._start = None
        self._schedule()

    async def _answer(self, batch: dict[QuestionT, asyncio.Future[AnswerT]]) -> None:
        try:
            while batch:
                answers = await self._call(list(batch))
                answered = batch.keys() & answers.keys()
                if not answered:
                    raise LookupError("A call answered nothing")
                for question in answered:
                    batch.pop(question).set_result(answers[question])
        except asyncio.CancelledError:
            for outcome in batch.values():
                outcome.cancel()
            raise
        except Exception as error:  # whatever it is: it is theirs who asked
            for outcome in batch.values():
                outcome.set_exception(error)
                outcome.exception()  # when nobody waits any more, it is no news
