"""A chat server that does what a test tells it to, right or wrong, to show that the load generator notices.

It is no peer and no part of the benchmark: it speaks just enough of the protocol for the generator's tests.
"""

import asyncio
import json
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

TEXT, CONTINUATION, CLOSE, PING, PONG = 1, 0, 8, 9, 10


def frame(payload: bytes | str, opcode: int = TEXT, *, final: bool = True) -> bytes:
    """Return a WebSocket frame as a server writes it."""
    data = payload.encode() if isinstance(payload, str) else payload
    first = opcode | (0x80 if final else 0)
    if len(data) < 126:
        return bytes([first, len(data)]) + data
    if len(data) < 65_536:
        return struct.pack("!BBH", first, 126, len(data)) + data
    return struct.pack("!BBQ", first, 127, len(data)) + data


@dataclass(frozen=True)
class Message:
    """A `send_message` event as it arrived."""

    ack_id: int
    room: str
    content: str
    client_message_id: str

    @property
    def number(self) -> int:
        """Its place among the messages of the load generator, from 1."""
        return int(self.content.split(":")[1])


@dataclass(eq=False)
class Client:
    """One connection of the load generator, as the server sees it."""

    writer: asyncio.StreamWriter
    token: str = ""
    rooms: list[str] = field(default_factory=list)
    control: list[tuple[int, bytes]] = field(default_factory=list)
    """Opcode and payload of the control frames that arrived."""
    texts: list[str] = field(default_factory=list)

    def send(self, *payloads: str) -> None:
        """Send text frames."""
        self.writer.write(b"".join(frame(payload) for payload in payloads))

    def cut(self) -> None:
        """End the connection without a word, and forget what it has not taken."""
        if not self.writer.is_closing():
            connection = self.writer.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class FakeChat:
    """Speaks just enough of the protocol. A test replaces `on_message` or `on_connect` to do wrong."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.connects: list[tuple[float, str]] = []
        """When which token asked to be let in."""
        self.messages: list[Message] = []
        self.positions: dict[str, int] = defaultdict(int)
        self.on_message: Callable[[Client, Message], None] = self.pass_on
        self.on_connect: Callable[[Client], None] = lambda client: client.send('40{"sid":"x"}')
        self.history = "[]"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_failure: object) -> None:
        self._server.close()
        for client in self.clients:
            client.cut()

    def client(self, token: str) -> Client:
        """Return the connection of a user that is in its rooms."""
        return next(client for client in self.clients if client.token == token and client.rooms)

    def pass_on(self, client: Client, message: Message) -> None:
        """Do it right."""
        self.accept(client, message)
        event = self.event(message)
        for member in self.members(message.room):
            member.send(event)

    def accept(self, client: Client, message: Message) -> None:
        """Answer that it is stored."""
        client.send(f'43{message.ack_id}[{{"ok":true,"messageId":"m"}}]')

    def event(self, message: Message, *, numbered: bool = True) -> str:
        """Return the delivery of a message, which gets the next position of its room."""
        self.positions[message.room] += 1
        seq = f'"seq":{self.positions[message.room]},' if numbered else ""
        # Text that looks like a key, and a key that is also a value, must not mislead.
        decoy = '"sender":{"name":"\\"content\\":\\"b:9:9:"},"kind":"seq",'
        return f'42["new-message",{{{decoy}{seq}"content": "{message.content}","roomId":"{message.room}"}}]'

    def members(self, room: str) -> list[Client]:
        """Return who is in a room and connected."""
        return [client for client in self.clients if room in client.rooms]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(writer)
        self.clients.append(client)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            assert request.startswith(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n")
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
            client.send('0{"sid":"s","pingInterval":25000,"pingTimeout":10000}')
            while True:
                self._take(client, *await _read_frame(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            client.rooms = []
            writer.close()

    def _take(self, client: Client, opcode: int, payload: bytes) -> None:
        if opcode != TEXT:
            client.control.append((opcode, payload))
            if opcode == CLOSE:
                client.writer.write(frame(payload, CLOSE))
                client.writer.close()
            return
        text = payload.decode()
        client.texts.append(text)
        if text.startswith("40"):
            client.token = json.loads(text[2:])["token"]
            self.connects.append((time.monotonic(), client.token))
            self.on_connect(client)
        elif text.startswith("42"):
            self._take_event(client, text[2:])

    def _take_event(self, client: Client, text: str) -> None:
        number, _, rest = text.partition("[")
        name, body = json.loads(f"[{rest}")
        if name == "join_room":
            client.rooms.append(body["roomId"])
            client.send(f'43{number}[{{"ok":true,"head":0}}]', f'42["message-history",{self.history}]')
        elif name == "send_message":
            message = Message(int(number), body["roomId"], body["content"], body["clientMessageId"])
            self.messages.append(message)
            self.on_message(client, message)


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, second = await reader.readexactly(2)
    assert first & 0xF0 == 0x80, "a client sends whole messages"
    assert second & 0x80, "a client has to mask"
    length = second & 0x7F
    if length >= 126:
        width = 2 if length == 126 else 8
        length = int.from_bytes(await reader.readexactly(width))
    key = await reader.readexactly(4)
    payload = await reader.readexactly(length)
    assert key == bytes(4), "this generator masks with zeros"
    return first & 0x0F, payload
