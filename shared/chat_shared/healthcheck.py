"""Whether the service of this container lives: `python -m chat_shared.healthcheck` exits with 0 or 1."""

import http.client
import os
import sys

SECONDS = 2.0
_OK = 200


def is_alive(port: int) -> bool:
    """Ask the service on this machine; whether its dependencies are there is not part of the question.

    Args:
        port: where it listens.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_alive(int(os.environ["CHAT_PORT"])) else 1)
