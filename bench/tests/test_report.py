"""The report: a page, figures and plots."""

from pathlib import Path

import pytest
from chat_bench.report.markdown import report_text
from chat_bench.report.plots import latency_points
from chat_bench.report.tables import number, table, times
from chat_bench.report.writing import write_report
from chat_bench.results import Results
from made_up import results, step, talk

PLOTS = ["latency-rooms.png", "latency-hall.png", "latency-pairs.png", "cpu-per-delivery.png"]
SWEEP_PLOTS = ["sweep-members.png", "sweep-processes.png"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (0, "0"),
        (0.0123, "0.0123"),
        (0.00001234, "0.0000"),
        (4.567, "4.57"),
        (98.76, "98.8"),
        (123.4, "123"),
        (1_234_567, "1,234,567"),
    ],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_ratios() -> None:
    assert (times(3.14159), times(None)) == ("3.14x", "-")


def test_tables_are_markdown() -> None:
    assert table(("A", "B"), [["a", "1"]]) == "| A | B |\n| :-- | --: |\n| a | 1 |"
    assert table(("A", "B"), []) == "Not measured."


def test_the_page_shows_goals_limits_and_gaps() -> None:
    page = report_text(results(), ["plot.png"])
    assert "| Highest rate of `rooms`, against node | ≥ 3x | 4x | met |" in page
    assert "| Highest rate of `rooms`, against node-nondurable | ≥ 4x | 3.33x | **missed** |" in page
    assert (
        "| chat | 3,200 | 1.00x | 32,000 | 1,600 | 16.2 | 65 | 97.5 | 65 | the next rate was not held |"
        in page
    )
    assert "| mongod | 100 | 200 |" in page
    assert "| chat | 500 | 2 | 2.93 | 1.46 | yes | 30 |" in page
    assert "- idle of stock: it ended" in page
    assert "![plot.png](plot.png)" in page
    assert "| processor | abacus |" in page


def test_every_row_fits_its_header() -> None:
    rows = [line.count("|") for line in report_text(results(), []).splitlines()]
    blocks = [[]]
    for count in rows:
        blocks[-1].append(count) if count else blocks.append([])
    assert all(len(set(block)) <= 1 for block in blocks)


def test_all_that_is_written_can_be_read_again(tmp_path: Path) -> None:
    write_report(tmp_path, results())
    assert Results.model_validate_json((tmp_path / "results.json").read_bytes()) == results()
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "results.json", *PLOTS, *SWEEP_PLOTS}


def test_an_empty_run_can_be_reported(tmp_path: Path) -> None:
    """As when every target failed."""
    write_report(tmp_path / "new", Results(begun="", machine={}, settings={}))
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"report.md", "results.json"}


def test_plots_show_the_last_try_of_each_rate() -> None:
    tries = (step(200, p99=150), step(100, p99=10), step(200, p99=50), step(400, is_void=True))
    search = talk(100, 10, 10, 50).model_copy(update={"steps": tries})
    assert latency_points(search) == ([100, 200], [10, 50])
