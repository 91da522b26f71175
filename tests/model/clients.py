"""Simulated clients: apply what follows, drop what they have, and sync where something is missing."""

from typing import Any

from .gateways import Gateway, Socket
from .promises import Promises


class Client:
    """One device of a user, with what it shows of each room."""

    def __init__(self, user_id: str, room_ids: list[str], promises: Promises) -> None:
        self.user_id = user_id
        self.gateway: Gateway | None = None
        self.socket: Socket | None = None
        self._promises = promises
        self._shown: dict[str, list[int]] = {room_id: [] for room_id in room_ids}
        """Per room the `seq` that are shown, in the order of showing."""
        self.synced: set[str] = set()
        """Rooms in which this socket has caught up: from then on nothing may be missing."""
        self.outside: set[str] = set()
        """Rooms that the user was removed from: nothing of them may come any more."""
        self._begins_anew: set[str] = set()

    def position(self, room_id: str) -> int:
        shown = self._shown[room_id]
        return shown[-1] if shown else 0

    async def connect(self, gateway: Gateway) -> None:
        self.gateway, self.socket = gateway, await gateway.connect(self.user_id)

    def disconnect(self) -> None:
        """Go away; what was sent and not read is lost."""
        if self.gateway is not None and self.socket is not None:
            self.gateway.disconnect(self.socket)
        self.gateway = self.socket = None
        self.synced.clear()

    async def sync(self, room_id: str, max_missed: int) -> None:
        """Ask for what was missed in a room; begin anew where it is too much."""
        if self.gateway is None or self.socket is None:
            return
        await self.read()
        after = self.position(room_id)
        answer = await self.gateway.sync(self.socket, room_id, after)
        if room_id in self.outside:
            assert answer.error is not None, "synced a room that the user is not in"
            return
        assert answer.error is None, answer.error
        if answer.reset:
            assert answer.head - after > max_missed, f"a reset without need: {after} of {answer.head}"
            await self.join(room_id, None)
            return
        await self.read()
        self._require_reached(room_id, answer.head)

    async def join(self, room_id: str, after: int | None) -> None:
        """Open a room: its newest page, or what follows `after`."""
        if self.gateway is None or self.socket is None or room_id in self.outside:
            return
        await self.read()
        if after is None:
            self._begins_anew.add(room_id)
        head = await self.gateway.join(self.socket, room_id, after)
        await self.read()
        self._require_reached(room_id, head)

    def _require_reached(self, room_id: str, head: int) -> None:
        assert self.position(room_id) >= head, f"caught up to {self.position(room_id)} of {head}"
        self.synced.add(room_id)

    async def read(self) -> None:
        """Apply everything that was sent."""
        for name, payload in self.socket.take() if self.socket else ():
            if name == "new-message":
                await self._apply(payload)
            elif name == "message-history":
                await self._show_page(payload)

    async def _show_page(self, page: dict[str, Any]) -> None:
        room_id = page["roomId"]
        if page["reset"] or room_id in self._begins_anew:
            self._begins_anew.discard(room_id)
            self._shown[room_id] = []
            for view in page["messages"]:
                await self._promises.delivered(view)
                self._shown[room_id].append(view["seq"])
            return
        for view in page["messages"]:
            await self._apply(view)

    async def _apply(self, view: dict[str, Any]) -> None:
        room_id, seq = view["roomId"], view["seq"]
        assert room_id not in self.outside, f"sent to one who was removed: {view}"
        await self._promises.delivered(view)
        position = self.position(room_id)
        if seq == position + 1:
            self._shown[room_id].append(seq)
        elif seq > position:
            assert room_id not in self.synced, f"a hole for one who had caught up: {position}, then {seq}"

    def require_contiguous(self) -> None:
        """What is shown has neither a hole nor a repeat since it last began anew."""
        for room_id, shown in self._shown.items():
            assert shown == list(range(shown[0], shown[-1] + 1)) if shown else True, f"{room_id}: {shown}"
