#!/bin/sh
# Replaces the containers of a service by new ones of the image as it is now: upgrade.sh SERVICE
# The new ones work before the first old one leaves, and each old one finishes what it has begun.
set -eu
service=${1:?which one: upgrade.sh SERVICE}
here=$(dirname "$0")
compose=${COMPOSE:-docker compose -f "$here/docker-compose.yml"}
start_seconds=${START_SECONDS:-120}
# Traefik and the other services look for new addresses every two seconds.
notice_seconds=5
# Longer than any service takes to leave: see stop_grace_period in docker-compose.yml.
stop_seconds=120

# $compose is a command with its arguments, not one word.
containers() {
  $compose ps -q "$service"
}

old=$(containers)
count=$(echo "$old" | wc -w)
[ "$count" -gt 0 ] || { echo "$service does not run: make up" >&2; exit 1; }

$compose up --detach --no-deps --no-recreate --scale "$service=$((2 * count))" "$service"
new=$(containers | grep -vxF "$old")

for id in $new; do
  left=$start_seconds
  until [ "$(docker inspect -f '{{.State.Health.Status}}' "$id")" = healthy ]; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      docker logs --tail 20 "$id" >&2
      echo "$service: $id is not healthy and goes again; the old ones go on" >&2
      echo "$new" | xargs docker rm -f >/dev/null
      exit 1
    fi
    sleep 1
  done
done
sleep "$notice_seconds"

for id in $old; do
  docker stop -t "$stop_seconds" "$id" >/dev/null
  docker rm "$id" >/dev/null
  echo "$service: $id has left"
done
