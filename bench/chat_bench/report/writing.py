"""Writes the report into a folder."""

from pathlib import Path

from chat_bench.report.markdown import report_text
from chat_bench.report.plots import write_plots
from chat_bench.results import Results

JSON_NAME = "results.json"
PAGE_NAME = "report.md"


def write_json(folder: Path, results: Results) -> None:
    """Write all figures."""
    draft = folder / f"{JSON_NAME}.new"
    draft.write_text(results.model_dump_json(indent=1))
    draft.rename(folder / JSON_NAME)


def write_report(folder: Path, results: Results) -> None:
    """Write the page, the figures and the plots."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder, results)
    plots = write_plots(folder, results)
    (folder / PAGE_NAME).write_text(report_text(results, plots))
