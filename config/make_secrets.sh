#!/bin/sh
# The compose file's secrets, each in a file, made where they are missing: random ones, and a certificate for this host's
# name that browsers will warn of. Replace secrets/tls.crt and secrets/tls.key by your own; write the provider's key into
# secrets/dashscope_api_key. Usage: config/make_secrets.sh [NAME [FOLDER]]
set -eu
host=${1:-localhost}
folder=${2:-$(dirname "$0")/../secrets}
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
for name in secret_key field_key database_password metrics_token flower_password grafana_password; do
  [ -s "$name" ] || openssl rand -hex 32 > "$name"
done
[ -e dashscope_api_key ] || : > dashscope_api_key
[ -s tls.key ] || openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=$host" \
  -addext "subjectAltName=DNS:$host" -keyout tls.key -out tls.crt 2>/dev/null
# Containers run as users of their own, who must be able to read them; the folder is for its owner alone.
chmod 444 ./*
