"""The table of close reasons in the page of the socket protocol, made from the reasons themselves."""

from collections.abc import Iterable

from chat_gateway_ws.close_reasons import CloseReason
from marked import with_table

COLUMNS = "| Reason | Reconnect? | What happened | What the client does |\n|---|---|---|---|\n"


def with_close_reasons(page: str, reasons: Iterable[CloseReason]) -> str:
    """Return the page with the table between its two marks."""
    rows = (
        f"| `{reason.code}` | {'yes' if reason.reconnect else 'do not'} | {reason.happened} "
        f"| {reason.client_does} |\n"
        for reason in reasons
    )
    return with_table(page, "close_reasons.py", COLUMNS, rows)
