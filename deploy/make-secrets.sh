#!/bin/sh
# Makes what is missing in the folder of secrets, and never overwrites: make-secrets.sh [FOLDER]
# The folder is for its owner only. The files can be read by others because containers read them as other users.
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

random() { # BYTES as URL-safe base64
  head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'
}

make() { # NAME VALUE
  [ -s "$1" ] && return
  (umask 077 && printf '%s' "$2" > "$1.new")
  chmod 444 "$1.new"
  mv "$1.new" "$1"
}

make chat_service_token "$(random 32)"
make chat_master_keys "k1:$(random 32)"
make chat_media_url_key "$(random 32)"
make rabbitmq_password "$(random 24)"
password=$(cat rabbitmq_password)
make chat_amqp_url "amqp://chat:$password@rabbitmq:5672/"
make rabbitmq.conf "default_user = chat
default_pass = $password
"
make grafana_password "$(random 18)"
