#!/bin/sh
# Checks that Valkey answers with its password.
REDISCLI_AUTH=$(cat /run/secrets/redis_password)
export REDISCLI_AUTH
[ "$(valkey-cli ping)" = PONG ]
