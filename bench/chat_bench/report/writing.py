"""Writes the report into a folder."""

from pathlib import Path

from chat_bench.figures import Results

JSON_NAME = "results.json"


def write_json(folder: Path, results: Results) -> None:
    """Write all figures."""
    (folder / JSON_NAME).write_text(results.model_dump_json(indent=1))


def write_report(folder: Path, results: Results) -> None:
    """Write everything."""
    write_json(folder, results)
