"""Whether this container may be used: `python -m chat_shared.healthcheck` exits with 0 or 1."""

import http.client
import os
import sys
from pathlib import Path

SECONDS = 2.0
PORT_FILE = Path(sys.prefix) / "port"
"""Where the service listens unless it is told otherwise."""
_OK = 200


def is_routable(port: int) -> bool:
    """Ask the service on this machine whether it has been prepared once and is not about to stop.

    Args:
        port: where it listens.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/routez")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_routable(int(os.environ.get("CHAT_PORT") or PORT_FILE.read_text())) else 1)
