"""Sessions that were opened and have not asked to be let in: anybody can make them, so they are few."""

from collections import OrderedDict

from chat_shared.rate_limits import address_key


class Handshakes:
    """Bounds them in all and per client address.

    Where there are too many the oldest goes, not the newest: who means it asks right after the handshake,
    and idle ones, however many come, cannot keep anybody out.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._addresses: OrderedDict[str, str] = OrderedDict()
        """Session -> its address; oldest first, as below."""
        self._sessions: dict[str, OrderedDict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def add(self, eio_sid: str, address: str) -> str | None:
        """Note a session that is idle from now on; return the one that has to go for it, if any.

        Args:
            eio_sid: the Engine.IO session.
            address: of the client, as the trusted proxies tell it.
        """
        crowded_out = self._crowded_out_by(address_key(address))
        if crowded_out is not None:
            self.remove(crowded_out)
        self._addresses[eio_sid] = address_key(address)
        self._sessions.setdefault(address_key(address), OrderedDict())[eio_sid] = None
        return crowded_out

    def _crowded_out_by(self, key: str) -> str | None:
        neighbours = self._sessions.get(key)
        if neighbours is not None and len(neighbours) >= self._most_per_address:
            return next(iter(neighbours))
        if len(self._addresses) >= self._most:
            return next(iter(self._addresses))
        return None

    def remove(self, eio_sid: str) -> None:
        """Forget a session: it asked to be let in, or is gone."""
        key = self._addresses.pop(eio_sid, None)
        if key is not None:
            del self._sessions[key][eio_sid]
            if not self._sessions[key]:
                del self._sessions[key]
