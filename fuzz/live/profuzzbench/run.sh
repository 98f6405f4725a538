#!/usr/bin/env bash
# One run of a fuzzer, as ProFuzzBench calls it in its container: run FUZZER OUTDIR OPTIONS SECONDS SKIPCOUNT
#
# OPTIONS are afl-fuzz's but -i, -o and -N. The results are OUTDIR.tar.gz beside OUTDIR. The exit status is
# that of afl-fuzz, or of what measures coverage.
set -euo pipefail
fuzzer=$1 outdir=$2 options=$3 seconds=$4 skip=$5
export WORKDIR=${WORKDIR:-/home/ubuntu/experiments}
# Folders of fuzzers lie beside it, each named as its fuzzer.
fuzzers=$(dirname "$WORKDIR")
port=7420

# AFLNet keeps the messages of an input apart; its forerunner aflnwe does not.
case $fuzzer in
*nwe*) structured=0 ;;
*) structured=1 ;;
esac

cd "$WORKDIR/home"
export PREPARED_DATABASE=$WORKDIR/home/prepared.db
status=0
# shellcheck disable=SC2086  # the options are words
timeout -k 5 --preserve-status "$seconds" "$fuzzers/$fuzzer/afl-fuzz" -d -i "$WORKDIR/in-framegate" \
    -o "$WORKDIR/$outdir" -N "tcp://127.0.0.1/$port" $options \
    "$WORKDIR/fuzzed" serve --listen "127.0.0.1:$port" || status=$?
if [ "$status" -eq 0 ]; then
    "$WORKDIR/cov_script" "$WORKDIR/$outdir" "$port" "$skip" "$WORKDIR/$outdir/cov_over_time.csv" \
        "$structured" || status=$?
else
    echo "run: $fuzzer ended with $status" >&2
fi
# Whatever there is, for who wants to know why.
[ ! -d "$WORKDIR/$outdir" ] || tar -czf "$WORKDIR/$outdir.tar.gz" -C "$WORKDIR" "$outdir" || status=1
exit "$status"
