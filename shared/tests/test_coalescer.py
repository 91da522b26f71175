"""Many questions, few calls: and every answer is as new as one of the asker's own."""

import asyncio

import pytest
from chat_shared.coalescer import Coalescer
from chat_shared.errors import Unavailable
from chat_shared.request_context import seconds_left, set_deadline
from chat_shared.testing import eventually


class Book:
    """Answers with what is true when a call begins; `answering` holds answers back."""

    def __init__(self, *, most: int = 100, place: int = 100) -> None:
        self.calls: list[list[int]] = []
        self.truth = "old"
        self.failure: Exception | None = None
        self.answering = asyncio.Event()
        self.answering.set()
        self.coalescer: Coalescer[int, str] = Coalescer(self._call, most=most)
        self._place = place

    async def _call(self, questions: list[int]) -> dict[int, str]:
        self.calls.append(questions)
        truth = self.truth
        await self.answering.wait()
        if self.failure is not None:
            raise self.failure
        return {question: f"{truth} {question}" for question in questions[: self._place]}


async def ask_all(book: Book, count: int) -> list[str]:
    return await asyncio.gather(*(book.coalescer.ask(number) for number in range(count)))


async def test_who_asks_in_one_turn_shares_a_call() -> None:
    book = Book()
    assert await ask_all(book, 100) == [f"old {number}" for number in range(100)]
    assert book.calls == [list(range(100))]


async def test_equal_questions_are_asked_once() -> None:
    book = Book()
    assert await asyncio.gather(*(book.coalescer.ask(7) for _ in range(3))) == ["old 7"] * 3
    assert book.calls == [[7]]


async def test_a_call_has_no_more_questions_than_it_may() -> None:
    book = Book(most=40)
    await ask_all(book, 100)
    assert [len(call) for call in book.calls] == [40, 40, 20]


async def test_an_answer_is_never_older_than_its_question() -> None:
    book = Book()
    book.answering.clear()
    first = asyncio.create_task(book.coalescer.ask(1))
    await eventually(lambda: book.calls == [[1]])
    book.truth = "new"
    second = asyncio.create_task(book.coalescer.ask(1))
    await asyncio.sleep(0)
    book.answering.set()
    assert (await first, await second) == ("old 1", "new 1")


async def test_who_asks_meanwhile_waits_for_the_call_under_way() -> None:
    book = Book()
    book.answering.clear()
    tasks = [asyncio.create_task(book.coalescer.ask(0))]
    for number in range(1, 5):
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(book.coalescer.ask(number)))
    await asyncio.sleep(0)
    book.answering.set()
    await asyncio.gather(*tasks)
    assert len(book.calls) == 2


async def test_nobody_waits_long_behind_a_call_that_hangs() -> None:
    book = Book()
    book.answering.clear()
    hanging = asyncio.create_task(book.coalescer.ask(1))
    await eventually(lambda: book.calls == [[1]])
    other = asyncio.create_task(book.coalescer.ask(2))
    await eventually(lambda: book.calls == [[1], [2]])
    book.answering.set()
    await asyncio.gather(hanging, other)


async def test_a_failure_is_everybodys_and_the_next_call_is_a_new_one() -> None:
    book = Book()
    book.failure = Unavailable()
    outcomes = await asyncio.gather(
        *(book.coalescer.ask(number) for number in range(3)), return_exceptions=True
    )
    assert outcomes == [book.failure] * 3
    book.failure = None
    assert await book.coalescer.ask(1) == "old 1"


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    book = Book()
    book.answering.clear()
    tasks = [asyncio.create_task(book.coalescer.ask(1)) for _ in range(2)]
    await eventually(lambda: book.calls == [[1]])
    tasks[0].cancel()
    await asyncio.sleep(0)
    book.answering.set()
    assert await tasks[1] == "old 1"
    assert tasks[0].cancelled()


async def test_what_an_answer_has_no_place_for_is_asked_again() -> None:
    book = Book(place=30)
    assert await ask_all(book, 100) == [f"old {number}" for number in range(100)]
    assert [len(call) for call in book.calls] == [100, 70, 40, 10]


async def test_a_call_that_answers_nothing_fails_instead_of_going_on_for_ever() -> None:
    book = Book(place=0)
    with pytest.raises(LookupError):
        await book.coalescer.ask(1)


async def test_the_deadline_of_one_is_not_that_of_the_others() -> None:
    left: list[float] = []

    async def call(questions: list[int]) -> dict[int, None]:
        left.append(seconds_left(5))
        return dict.fromkeys(questions)

    coalescer: Coalescer[int, None] = Coalescer(call, most=10)
    set_deadline("1")
    await coalescer.ask(1)
    assert left == [5]


async def test_calls_that_cost_much_keep_apart() -> None:
    loop = asyncio.get_running_loop()
    began: list[float] = []

    async def call(questions: list[int]) -> dict[int, None]:
        began.append(loop.time())
        return dict.fromkeys(questions)

    coalescer: Coalescer[int, None] = Coalescer(call, most=1_000, pause=0.1)
    asked = loop.time()
    await coalescer.ask(0)
    assert loop.time() - asked < 0.1, "the first one does not wait"
    crowd = [asyncio.create_task(coalescer.ask(number)) for number in range(1, 50)]
    await asyncio.sleep(0.02)
    crowd += [asyncio.create_task(coalescer.ask(number)) for number in range(50, 100)]
    await asyncio.gather(*crowd)
    assert len(began) == 2
    assert began[1] - began[0] >= 0.099
