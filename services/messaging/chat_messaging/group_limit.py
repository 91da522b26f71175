"""How many entries a group may carry: fewer while inserts fail, more while they succeed. No I/O.

What is behind a failure has to be sent again. With a fixed limit, rooms that all fail would each have all the
others sent again; with this rule a group comes to be about as long as one gets before something fails.
"""


class GroupLimit:
    """The limit, which every insert that ended may move.

    Inserts that were taken with the same limit tell the same thing, and move it once: eight that succeed side
    by side must not make it 256 times as high.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries = most

    @property
    def entries(self) -> int:
        """How many entries the next group may carry; one room's entries go together all the same."""
        return self._entries

    @property
    def is_reduced(self) -> bool:
        """Whether something failed lately."""
        return self._entries < self._most

    def failed(self, limit: int) -> None:
        """An insert that was taken with this limit stopped at one of its rooms."""
        self._entries = min(self._entries, max(1, limit // 2))

    def succeeded(self, limit: int) -> None:
        """An insert that was taken with this limit was stored as a whole."""
        self._entries = max(self._entries, min(self._most, limit * 2))
