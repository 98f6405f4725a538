#!/usr/bin/env bash
# One run of a fuzzer, as ProFuzzBench calls it: run.sh FUZZER OUTDIR OPTIONS SECONDS SKIPCOUNT
set -euo pipefail
fuzzer=$1 out=$2 options=$3 seconds=$4 skip=$5
cd /home/ubuntu/experiments
timeout -k 2 "$seconds" "$fuzzer/afl-fuzz" -d -i in-framegate -o "$out" -N tcp://127.0.0.1/7420 -P HTTP \
    -D 10000 -K -R -m none -t 5000+ $options \
    ./serve.sh framegate/target/release/framegate 7420 || true
./cov_script.sh "$out" 7420 "$skip" "$out/cov_over_time.csv"
