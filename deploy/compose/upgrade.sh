#!/bin/sh
# Replaces the containers of workers and API by containers of the present image, without a failed request. Run this command in
# the folder of docker-compose.yml after `docker-compose build` or `docker-compose pull`:
#
#     sh deploy/compose/upgrade.sh
#
# New containers start beside the old containers. An old container stops when all new containers are healthy.
set -eu

compose() {
  # COMPOSE names another command, such as "docker compose".
  ${COMPOSE:-docker-compose} "$@"
}
limit_s=${UPGRADE_TIMEOUT_S:-300}

healthy() {
  count=0
  for container in $(compose ps -q "$1"); do
    state=$(docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{end}}' "$container")
    [ "$state" = healthy ] && count=$((count + 1))
  done
  echo "$count"
}

compose run --rm migrate
for service in worker api; do
  old=$(compose ps -q "$service")
  if [ -z "$old" ]; then
    echo "No container of $service runs: start Millrace with '${COMPOSE:-docker-compose} up -d' first." >&2
    exit 1
  fi
  wanted=$((2 * $(echo "$old" | wc -l)))
  compose up -d --no-deps --no-recreate --scale "$service=$wanted" "$service"
  waited_s=0
  until [ "$(healthy "$service")" -ge "$wanted" ]; do
    if [ "$waited_s" -ge "$limit_s" ]; then
      echo "The new containers of $service are not healthy after $limit_s s. The old containers continue: see '${COMPOSE:-docker-compose} logs $service'." >&2
      exit 1
    fi
    sleep 1
    waited_s=$((waited_s + 1))
  done
  # One after the other: the stopped container finishes or returns its work first.
  for container in $old; do
    docker stop -t 40 "$container" > /dev/null
    docker rm "$container" > /dev/null
  done
  echo "$service: $((wanted / 2)) containers replaced"
done
