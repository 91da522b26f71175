"""Readiness probes: each asks once and answers yes or no.

They run many times a second while the machine is busy starting everything: hence bare sockets.
"""

import asyncio
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 2.0
_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"


async def _exchange(host: str, port: int, request: bytes) -> bytes:
    """Send a request over TCP and return the first bytes of the answer; empty when there is none."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return await reader.read(64)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


async def tcp_answers(host: str, port: int) -> bool:
    """Tell whether something accepts connections."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def redis_answers(host: str, port: int) -> bool:
    """Tell whether a Redis answers a PING."""
    return (await _exchange(host, port, b"PING\r\n")).startswith(b"+PONG")


async def amqp_answers(host: str, port: int) -> bool:
    """Tell whether a broker answers the AMQP 0-9-1 greeting with its first method frame."""
    return (await _exchange(host, port, _AMQP_HEADER)).startswith(b"\x01")


async def http_status(url: str) -> int:
    """Return the status of a GET; 0 when there is no answer."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    answer = await _exchange(parts.hostname or "", parts.port or 80, request.encode())
    _version, _space, rest = answer.partition(b" ")
    return int(rest[:3]) if rest[:3].isdigit() else 0
