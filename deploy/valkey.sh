#!/bin/sh
# Starts Valkey with its password from a file: it can read none itself, and what stands on a command line is for all to see.
set -eu
password=$(cat "${PASSWORD_FILE:-/run/secrets/redis_password}")
[ "${#password}" -ge 20 ] || { echo "the password is missing or too short; 'make secrets' makes one" >&2; exit 1; }
umask 077
config=$(mktemp)
{
  printf 'requirepass "%s"\n' "$password"
  cat "${CONFIG_FILE:-/etc/valkey/valkey.conf}"
} > "$config"
exec valkey-server "$config" "$@"
