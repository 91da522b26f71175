"""Ports of one state folder: remembered between starts, so that addresses stay what they were."""

import json
import secrets
import socket
from pathlib import Path

# Below the kernel's range for outgoing connections, so that no passing client can take a port
# between the moment it is drawn and the moment its server binds it.
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


class PortBook:
    """The ports of a stack by name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._remembered: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        self._given: dict[str, int] = {}

    @staticmethod
    def remembered(path: Path, name: str) -> int | None:
        """Return the port that `name` had last, None when it never had one."""
        remembered: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        return remembered.get(name)

    def port(self, name: str) -> int:
        """Return the port of `name`: the one it had last time if that is free, else a new one."""
        if name not in self._given:
            remembered = self._remembered.get(name, 0)
            self._given[name] = remembered if self._usable(remembered) else self._draw()
        return self._given[name]

    def save(self) -> None:
        """Remember all ports for the next start; who reads meanwhile sees the old ones or the new ones."""
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._remembered | self._given, indent=1))
        new.replace(self._path)

    def _usable(self, port: int) -> bool:
        return bool(port) and port not in self._given.values() and is_free(port)

    def _draw(self) -> int:
        while True:
            port = _FIRST + secrets.randbelow(_LAST - _FIRST)
            if self._usable(port) and port not in self._remembered.values():
                return port
