"""Whether others can reach a port of this machine, as the kernel lists who listens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from chat_local.client.listeners import outward_listener


@contextmanager
def listening(host: str) -> Iterator[int]:
    """Listen on a free port, and give it; an IPv6 socket takes IPv4, too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((host, 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1"])
def test_nobody_but_this_machine(host: str) -> None:
    with listening(host) as port:
        assert outward_listener(port) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - what is looked for
def test_others_too(host: str) -> None:
    with listening(host) as port:
        assert str(outward_listener(port)) == host


def test_who_has_gone() -> None:
    with listening("::") as port:
        assert outward_listener(port)
    assert outward_listener(port) is None
