"""Who listens on this machine, as the kernel lists it (`proc_pid_net(5)`)."""

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))

_LISTENING = "0A"
_WORD_DIGITS = 8

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def outward_listener(port: int) -> Address | None:
    """Return an address other than this machine's own at which somebody listens on a TCP port.

    None when there is no such listener, and where the kernel has no such list.
    """
    found = (address for table in TABLES if table.exists() for address in _listeners(table, port))
    return next((address for address in found if not address.is_loopback), None)


def _listeners(table: Path, port: int) -> Iterator[Address]:
    for line in table.read_text().splitlines()[1:]:
        _number, local, _remote, state, *_ = line.split()
        address, _, local_port = local.partition(":")
        if state == _LISTENING and int(local_port, 16) == port:
            yield _address(address)


def _address(digits: str) -> Address:
    """Return the address of hexadecimal words, each as this machine stores it."""
    words = [digits[start : start + _WORD_DIGITS] for start in range(0, len(digits), _WORD_DIGITS)]
    address = ipaddress.ip_address(b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
