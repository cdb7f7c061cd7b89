#!/bin/sh
# Starts Valkey with its password from a file: Valkey can't read one itself, and command lines are visible to all accounts.
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
