#!/bin/sh
# The one command of an image: starts the service that it was built for.
# Its name has to be its own, and the same after a restart: the host name of a container is both.
export CHAT_INSTANCE="${CHAT_INSTANCE:-$(hostname)}"
export CHAT_PORT="${CHAT_PORT:-$(cat /app/port)}"
# Each socket is an open file; what container engines allow at first is as little as 1024.
most=$(ulimit -H -n)
[ "$most" != unlimited ] && [ "$most" -le 1048576 ] || most=1048576
ulimit -n "$most"
exec python -m "$(readlink /app/service)" "$@"
