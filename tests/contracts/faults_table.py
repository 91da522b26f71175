"""The table of faults in the page of the guarantees, made from the catalogue."""

from collections.abc import Mapping

from chat_faults.fault import Fault
from marked import with_table

COLUMNS = "| | What breaks | What is expected beside the promises |\n|---|---|---|\n"


def with_faults(page: str, catalogue: Mapping[str, Fault]) -> str:
    """Return the page with the table between its two marks."""
    rows = (f"| {name} | {fault.title} | {fault.expects} |\n" for name, fault in sorted(catalogue.items()))
    return with_table(page, "the catalogue of faults", COLUMNS, rows)
