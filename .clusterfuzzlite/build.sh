#!/usr/bin/env bash
# Builds every target with its seeds and its dictionary, as OSS-Fuzz and ClusterFuzzLite want
# them: both set OUT, and the compiler's flags.
set -euo pipefail

export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
cargo fuzz build --features libfuzzer -O --debug-assertions --no-cfg-fuzzing
for target in $(cargo fuzz list); do
    cp "target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    zip --quiet --junk-paths --recurse-paths "$OUT/${target}_seed_corpus.zip" "fuzz/seeds/$target"
    if [ -e "fuzz/dictionaries/$target.dict" ]; then
        cp "fuzz/dictionaries/$target.dict" "$OUT/"
    fi
    printf '[libfuzzer]\nmax_len = 10000\n' >"$OUT/$target.options"
done
