"""uvicorn's WebSocket with a short way in and out, for sessions that are open and keep up."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from chat_gateway_ws.light import LightEvent, LightQueue


class ShortcutWebSocket(WebSocketsSansIOProtocol):
    """Ready frames go to the transport, and texts to the session, without a task or a queue in between.

    What is written in one turn of the event loop leaves in one system call: uvloop sees to that.
    """

    on_text: Callable[[str], bool] | None = None
    """Takes a text right where it arrives. What it refuses goes the ordinary way, and so does all that
    follows until this is set again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = LightQueue()  # type: ignore[assignment] # has all that is used of the other
        self.writable = LightEvent(is_set=True)  # type: ignore[assignment]

    def forget_handshake(self) -> None:
        """Let go of the request that opened this WebSocket, with its headers: nobody asks for it again."""
        self.request = self.response = None  # type: ignore[assignment]
        self.scope["headers"] = []

    def write_frames(self, frames: bytes) -> bool:
        """Write whole, unmasked frames, unless the client is behind or the connection is about to end.

        Returns:
            Whether they were written; if not, nothing was.
        """
        if (
            not self.writable.is_set()
            or self.close_sent
            or self.conn.state is not State.OPEN
            or self.transport.is_closing()
        ):
            return False
        self.transport.write(frames)
        return True

    def send_receive_event_to_app(self) -> None:
        """Pass a whole message on."""
        if self.on_text is None or self.close_sent or not self._taken_at_once(self.on_text):
            self.on_text = None
            super().send_receive_event_to_app()

    def _taken_at_once(self, on_text: Callable[[str], bool]) -> bool:
        if self.curr_msg_data_type == "text":
            with suppress(UnicodeDecodeError):  # the ordinary way closes with the right code
                text = b"".join(self.frames).decode()
                if on_text(text):
                    self.frames = []
                    return True
        return False
