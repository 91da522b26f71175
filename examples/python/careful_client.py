"""A client that loses nothing, on python-socketio. docs/clients.md gives the reason for each of its rules."""

import asyncio
import random
import uuid
from typing import Any

import socketio


class CarefulClient:
    """`app` has auth() -> {"token"}, on_message(message), on_reset(room_id, head, epoch) -> where to go on,
    and what outlives a restart: `epoch` (first None), `positions` {room_id: seq}, `outbox` {id: message}."""

    answer_seconds, retry_seconds, reconnect_seconds, longest_seconds = 10.0, 0.5, 3.0, 20.0

    def __init__(self, url: str, app: Any) -> None:
        self.url, self.app = url, app
        self._behind: set[str] = set()  # rooms of which something may be missing
        self._asking, self.caught_up = asyncio.Lock(), asyncio.Event()
        self._turns: dict[str, asyncio.Lock] = {}  # by room

    async def run(self) -> dict[str, Any]:
        """Stay connected; return what the server said when it makes no sense to come back."""
        _resent = [asyncio.create_task(self.send(message)) for message in self.app.outbox.values()]
        longest, self._notice = self.reconnect_seconds, dict[str, Any]()
        while self._notice.get("retryable", True) and self._notice.get("reconnect", True):
            self._notice, self._lost = {}, asyncio.get_running_loop().create_future()
            self._socket = socketio.AsyncClient(reconnection=False, handle_sigint=False)
            self._socket.on("*", self._on_event)
            self._socket.on("drain", lambda _: self.caught_up.clear())  # sends would be refused
            self._socket.on("session-ended", self._notice.update)
            self._socket.on("connect_error", self._on_refusal)
            self._socket.on("disconnect", self._lost.cancel)
            try:
                await self._socket.connect(
                    self.url, auth=self.app.auth, transports=["websocket"], wait_timeout=10
                )
                longest = self.reconnect_seconds
                await self.catch_up(self.app.positions)
                await asyncio.wait({self._lost})
            except Exception:  # whatever it was, the next attempt may work
                longest = min(longest * 2, self.longest_seconds)
            finally:
                self._lost.cancel()
                self.caught_up.clear()
                await self._socket.disconnect()
            await asyncio.sleep(self._notice.get("retryAfterMs", random.uniform(0, longest) * 1000) / 1000)
        return self._notice

    async def send(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return the acknowledgement, however long it takes; raise ValueError(code) if it cannot work."""
        key, pause = message.setdefault("clientMessageId", str(uuid.uuid4())), self.retry_seconds
        self.app.outbox[key] = message
        async with self._turns.setdefault(message["roomId"], asyncio.Lock()):  # none overtakes a repeated one
            await self.caught_up.wait()
            while (answer := await self.call("send_message", message)).get("error", {}).get("retryable"):
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(pause * 2, self.longest_seconds)
                await self.caught_up.wait()
        del self.app.outbox[key]
        if not answer["ok"]:
            raise ValueError(answer["error"]["code"])
        return answer

    async def call(self, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the acknowledgement of an event; a retryable refusal if none can come any more."""
        answer, lost = asyncio.get_running_loop().create_future(), self._lost
        if not lost.done():
            await self._socket.emit(event, payload, callback=answer.set_result)
            await asyncio.wait({answer, lost}, timeout=self.answer_seconds, return_when="FIRST_COMPLETED")
        if not answer.done():
            lost.cancel()  # the gateway answers within 8 seconds; silence means that nobody is there
        return answer.result() if answer.done() else {"ok": False, "error": {"retryable": True}}

    async def catch_up(self, room_ids: Any) -> None:
        """Ask until nothing is missing in these rooms; it comes as `new-message`, before the answer."""
        app, positions = self.app, self.app.positions
        self._behind.update(room_ids)
        async with self._asking:
            while self._behind and not self._lost.done():
                asked = [{"roomId": key, "after": positions.setdefault(key, 0)} for key in self._behind][:200]
                answer = await self.call(
                    "sync", {"rooms": asked} | ({"epoch": app.epoch} if app.epoch else {})
                )
                rooms, epoch = answer.get("rooms", []), answer.get("epoch", app.epoch)
                if app.epoch not in (None, epoch):  # the log is another one, as after a restored backup
                    rooms = [{"roomId": key, "head": 0, "reset": True} for key in positions]
                app.epoch = epoch
                for room in rooms:
                    if room["reset"]:
                        self._behind.add(room["roomId"])
                        positions[room["roomId"]] = app.on_reset(room["roomId"], room["head"], epoch)
                    elif not room.get("error", {}).get("retryable"):
                        self._behind.discard(room["roomId"])
                await asyncio.sleep(random.uniform(0, self.retry_seconds) if self._behind else 0)
            if not self._lost.done():
                self.caught_up.set()

    async def _on_event(self, event: str, data: Any = None) -> None:
        position = self.app.positions.get
        if event == "heads":
            await self.catch_up(
                [
                    key
                    for key, head in data["heads"].items()
                    if head > position(key, 0) or data["epoch"] != self.app.epoch
                ]
            )
        for message in data.get("messages", [data]) if event in ("new-message", "message-history") else ():
            room_id, ahead = message["roomId"], message["seq"] - position(message["roomId"], 0)
            if ahead == 1:
                self.app.on_message(message)
                self.app.positions[room_id] = message["seq"]
            elif ahead > 1 and room_id not in self._behind:
                await self.catch_up([room_id])

    def _on_refusal(self, details: Any) -> None:
        if isinstance(details, dict):  # the server's; everything else is the network
            self._notice.update(details.get("data") or {})
