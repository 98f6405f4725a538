#!/usr/bin/env bash
# The server in a fresh folder, with the secret of replays and two users: serve.sh PROGRAM PORT
set -euo pipefail
export LOCAL_JWT_SECRET="the secret of framegate's recordings is no secret at all"
program=$(realpath "$1")
cd "$(mktemp -d)"
for user in alice bob; do "$program" user add "$user" --no-password >/dev/null; done
# A fuzzer is hostile by trade: it is not to be banned, nor held back.
exec "$program" serve --listen "127.0.0.1:$2" --ban-after 0 --connect-rate 0
