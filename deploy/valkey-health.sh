#!/bin/sh
# Whether Valkey answers to its password.
REDISCLI_AUTH=$(cat /run/secrets/redis_password)
export REDISCLI_AUTH
[ "$(valkey-cli ping)" = PONG ]
