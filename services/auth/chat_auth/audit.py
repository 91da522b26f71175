"""Security events as log lines of one form, to be found by `message: audit`; never with a secret in them."""

from chat_shared.logging import get_logger

log = get_logger(__name__)


def audit(action: str, **facts: str | int) -> None:
    """Log that something happened which an investigation would ask for.

    Names that people type are left out of `facts`: some type their password there.
    """
    log.info("audit", action=action, **facts)
