#!/bin/sh
# The one command of an image: starts the service that it was built for.
# Its name has to be its own, and the same after a restart: the host name of a container is both.
export CHAT_INSTANCE="${CHAT_INSTANCE:-$(hostname)}"
exec python -m "$(readlink /app/service)" "$@"
