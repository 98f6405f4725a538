#!/usr/bin/env bash
# Coverage over time, as ProFuzzBench reads it: cov_script.sh OUTDIR PORT STEP CSV
set -euo pipefail
out=$1 port=$2 step=$3 csv=$4
cd /home/ubuntu/experiments
program=framegate/target/coverage/release/framegate
echo "Time,l_per,l_abs,b_per,b_abs" >"$csv"
count=0
for file in $(ls -tr "$out"/replayable-queue/id* 2>/dev/null); do
    LLVM_PROFILE_FILE=/tmp/framegate.profraw ./serve.sh "$program" "$port" >/dev/null 2>&1 &
    server=$!
    sleep 0.2
    aflnet/aflnet-replay "$file" HTTP "$port" 1 >/dev/null 2>&1 || true
    kill -TERM "$server" && wait "$server" || true
    count=$((count + 1))
    [ $((count % step)) -eq 0 ] || continue
    llvm-profdata merge --sparse /tmp/framegate.profraw --output /tmp/framegate.profdata
    llvm-cov export --summary-only "$program" --instr-profile /tmp/framegate.profdata |
        awk -v time="$(stat -c %Y "$file")" -v RS=, -F: \
            '/"lines"/ { lines = 1 } lines && /covered/ { covered = $2 } lines && /percent/ { print time "," $2+0 "," covered ",," ; exit }' >>"$csv"
done
