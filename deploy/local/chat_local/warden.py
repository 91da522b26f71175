"""A small process that outlives a killed supervisor and ends what it left running.

    python -m chat_local.warden <run>

Its standard input is a pipe that only the supervisor holds. When the pipe closes, the supervisor has
stopped or was killed; whatever still carries the mark of the run is ended.
"""

import signal
import sys

from chat_local.leftovers import RUN_MARK, end_marked


def main() -> None:
    """Wait for the supervisor's end, then clean up."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_marked(RUN_MARK, sys.argv[1])


if __name__ == "__main__":
    main()
