"""The incarnation of the log, as the answers of messaging tell it: positions of another one mean nothing."""

from collections.abc import Callable

from chat_shared.errors import Unavailable
from chat_shared.logging import get_logger

log = get_logger(__name__)


class LogEpoch:
    """Sees the epoch of every answer and notices a new one."""

    def __init__(self) -> None:
        self.current: int | None = None
        """None until messaging has answered once."""
        self._on_change: list[Callable[[], None]] = []

    def on_change(self, forget: Callable[[], None]) -> None:
        """Call `forget` when the log is another one: all that is known of it is wrong."""
        self._on_change.append(forget)

    def is_other(self, epoch: int | None) -> bool:
        """Tell whether a client's positions were seen in another epoch, as far as it says."""
        return epoch is not None and epoch != self.current

    def observe(self, epoch: int) -> None:
        """Note the epoch of an answer.

        Raises:
            Unavailable: the answer does not belong to what we knew when we asked; it must not be used.
        """
        if epoch == self.current:
            return
        if self.current is None:
            self.current = epoch
            return
        if epoch > self.current:
            log.warning("the log has a new epoch", epoch=epoch, before=self.current)
            self.current = epoch
            for forget in self._on_change:
                forget()
        raise Unavailable
