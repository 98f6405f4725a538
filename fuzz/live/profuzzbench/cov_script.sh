#!/usr/bin/env bash
# Coverage over time, as ProFuzzBench reads it: cov_script OUTDIR PORT SKIPCOUNT CSV STRUCTURED
#
# A line after every SKIPCOUNT inputs, and after the last. Of lines l_per and l_abs; b_per and b_abs are
# regions, since rustc counts no branches.
set -euo pipefail
out=$1 port=$2 skip=$3 csv=$4 structured=$5
export WORKDIR=${WORKDIR:-/home/ubuntu/experiments}
fuzzers=$(dirname "$WORKDIR")
checkout=$WORKDIR/framegate
if [ "$structured" = 1 ]; then
    inputs=$out/replayable-queue replay=$fuzzers/aflnet/aflnet-replay
else
    inputs=$out/queue replay=$fuzzers/aflnet/afl-replay
fi

# shellcheck source=fuzz/llvm.sh
. "$checkout/fuzz/llvm.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
llvm_tools "$WORKDIR/llvm"
# Each server adds to the profile of those before it (%m).
export LLVM_PROFILE_FILE=$work/%m.profraw PREPARED_DATABASE=$WORKDIR/home/prepared.db
cd "$WORKDIR/home"

# Sends an input to a server that ends after it: play FILE
play() {
    local server status=0
    : >"$work/log"
    "$WORKDIR/covered" serve --listen "127.0.0.1:$port" >/dev/null 2>>"$work/log" &
    server=$!
    for _ in {1..200}; do
        ! grep -q 'listening on' "$work/log" || break
        sleep 0.05
    done
    grep -q 'listening on' "$work/log" || {
        kill -KILL "$server" 2>/dev/null || true
        echo "cov_script: the server does not start: $(tail -n 1 "$work/log")" >&2
        return 1
    }
    # AFLNet's program for this may fail when it reads the answers; the server has had the input by then.
    { timeout -k 1 30 "$replay" "$1" HTTP "$port" 1 || true; } >/dev/null 2>&1
    # It may have ended by itself.
    kill -TERM "$server" 2>/dev/null || true
    timeout 30 tail --pid="$server" -f /dev/null || kill -KILL "$server"
    wait "$server" || status=$?
    # An input that brings the server down leaves no profile, and is the fuzzer's to report.
    [ "$status" -eq 0 ] || echo "cov_script: $1: the server ended with $status: $(tail -n 1 "$work/log")" >&2
}

# A line of the table: measure FILE
measure() {
    "$tools/llvm-profdata" merge --sparse "$work"/*.profraw --output "$work/profdata"
    "$tools/llvm-cov" export --summary-only "$WORKDIR/covered" --instr-profile "$work/profdata" >"$work/json"
    (cd "$checkout" && python3 fuzz/coverage.py "$work/json" --csv "$(stat -c %Y "$1")") >>"$csv"
}

echo "Time,l_per,l_abs,b_per,b_abs" >"$csv"
count=0 last=
# Names begin with a number, so that their order is that of time; and however many there are, find lists them.
while read -r -d '' file; do
    play "$file"
    last=$file
    count=$((count + 1))
    [ $((count % skip)) -ne 0 ] || measure "$file"
done < <(find "$inputs" -type f -name 'id*' -print0 | sort -z)
[ "$count" -gt 0 ] || { echo "cov_script: no inputs in $inputs" >&2; exit 1; }
[ $((count % skip)) -eq 0 ] || measure "$last"
