"""A client that loses nothing, on python-socketio. docs/clients.md gives the reason for each of its rules."""

import asyncio
import random
import uuid
from typing import Any

import socketio


class CarefulClient:
    """`app` has auth(), on_message(message), on_reset(room_id, head, epoch), epoch, positions and outbox."""

    answer_seconds, retry_seconds, reconnect_seconds, longest_seconds = 10.0, 0.5, 3.0, 20.0

    def __init__(self, url: str, app: Any) -> None:
        self.url, self.app, self._behind, self._turns = url, app, set[str](), dict[str, asyncio.Lock]()
        self._asking, self.caught_up = asyncio.Lock(), asyncio.Event()

    async def run(self) -> dict[str, Any]:
        """Stay connected; return what the server said when it makes no sense to come back."""
        _resent = [asyncio.create_task(self.send(message)) for message in self.app.outbox.values()]
        longest, self._said = self.reconnect_seconds, dict[str, Any]()
        while self._said.get("retryable", True) and self._said.get("reconnect", True):
            self._said, self._lost = {}, asyncio.get_running_loop().create_future()
            self._socket = socket = socketio.AsyncClient(reconnection=False, handle_sigint=False)
            socket.on("*", self._on_event)
            socket.on("session-ended", self._said.update)
            socket.on("connect_error", lambda e: self._said.update(e["data"] if isinstance(e, dict) else {}))
            socket.on("disconnect", self._lost.cancel)
            try:
                await socket.connect(self.url, auth=self.app.auth, transports=["websocket"], wait_timeout=10)
                longest = self.reconnect_seconds
                await self.catch_up(self.app.positions)
                self.caught_up.set()
                await asyncio.wait({self._lost})
            except Exception:  # whatever it was, the next attempt may work
                longest = min(longest * 2, self.longest_seconds)
            finally:
                self.caught_up.clear()
                await socket.disconnect()
            await asyncio.sleep(self._said.get("retryAfterMs", random.uniform(0, longest) * 1000) / 1000)
        return self._said

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
        """Return the acknowledgement of an event; a retryable refusal when none can come any more."""
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
            pause = self.retry_seconds
            while self._behind and not self._lost.done():
                want = [{"roomId": key, "after": positions.setdefault(key, 0)} for key in self._behind][:200]
                told = await self.call("sync", {"rooms": want, "epoch": app.epoch})
                rooms, known, app.epoch = told.get("rooms", []), app.epoch, told.get("epoch", app.epoch)
                if known not in (None, app.epoch):  # the log is another one, as after a restored backup
                    heads = {room["roomId"]: room["head"] for room in rooms}
                    rooms = [{"roomId": key, "head": heads.get(key, 0), "reset": True} for key in positions]
                for room in rooms:
                    if room["reset"]:
                        self._behind.add(room["roomId"])
                        positions[room["roomId"]] = app.on_reset(room["roomId"], room["head"], app.epoch)
                    elif not room.get("error", {}).get("retryable"):
                        self._behind.discard(room["roomId"])
                is_stuck = all(room.get("error") for room in told.get("rooms", []))
                pause = min(pause * 2, self.longest_seconds) if is_stuck else self.retry_seconds
                await asyncio.sleep(random.uniform(0, pause) if self._behind else 0)

    async def _on_event(self, event: str, data: Any = None) -> None:
        positions, heads = self.app.positions, data.get("heads", {})
        other = data.get("epoch", self.app.epoch) != self.app.epoch
        for message in data.get("messages", [data] if event == "new-message" else []):
            if message["seq"] == positions.get(message["roomId"], 0) + 1:
                self.app.on_message(message)
                positions[message["roomId"]] = message["seq"]
            heads[message["roomId"]] = message["seq"]
        behind = {key for key, head in heads.items() if head > positions.get(key, 0) or other} - self._behind
        if behind:
            await self.catch_up(behind)
