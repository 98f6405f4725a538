# libFuzzer, as `cargo fuzz` builds it. A part of fuzz/run.

sanitizer=${SANITIZER:-none}

# How a target is built. A byte of server_ops is a choice: what the server compares is nothing that
# the fuzzer could write there, and to note it would take most of the time. With a sanitizer that is not
# worth building everything once more.
flags() {
    flags=(--features "libfuzzer${PLAIN:+,plain}" --sanitizer "$sanitizer" --no-cfg-fuzzing)
    [ "$1$sanitizer" != server_opsnone ] || flags+=(--no-trace-compares)
}

build() {
    local target
    command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked || return
    for target in "${targets[@]}"; do
        flags "$target"
        cargo fuzz build "${flags[@]}" "$target" || return
    done
}

fuzz() {
    local target=$1 dictionary=fuzz/dictionaries/$1.dict options=()
    [ ! -e "$dictionary" ] || options+=("-dict=$dictionary")
    # At most some 50 steps: long runs are the simulator's. How often an edge was taken would make
    # every tenth input a new one.
    [ "$target" != server_ops ] || options+=(-max_len=256 -use_counters=0)
    flags "$target"
    cargo fuzz run "${flags[@]}" "$target" "$found/corpus/$target" "fuzz/seeds/$target" -- \
        -artifact_prefix="$(realpath "$found/artifacts/$target")/" \
        -max_total_time="$seconds" -max_len=10000 -timeout=5 -print_final_stats=1 "${options[@]}"
}

stat() {
    awk -v name="stat::$1:" '$1 == name { number = $2 } END { print number + 0 }' "$log"
}

executions() { stat number_of_executed_units; }
speed() { stat average_exec_per_sec; }
why() { [ ${#targets[@]} -eq 1 ] || grep -E -A 2 'panicked at|^SUMMARY|Test unit written' "$log"; }
