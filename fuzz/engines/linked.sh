# What AFL++ and honggfuzz have in common: a library of the engine's is linked in libFuzzer's stead, since
# each has a `main` that calls what libFuzzer calls. A part of fuzz/run.

work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/engines
host=$(rustc -vV | sed -n 's/^host: //p')
made=$work/$engine
built=$work/build
# Both engines count edges by the same hooks, and see what is compared.
coverage=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3
    -Cllvm-args=-sanitizer-coverage-trace-pc-guard -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cdebug-assertions)

# The source of the engine, out of the crate that ships it, in $source: source_of CRATE FOLDER. Not under the
# target directory, whose path may have a blank, which make would take for the end of a name.
source_of() {
    local manifest
    rm -rf "$made"
    mkdir -p "$made"
    source=$(mktemp -d)/source
    manifest=$(cargo metadata --locked --format-version 1 --filter-platform "$host" \
        --manifest-path fuzz/engines/Cargo.toml |
        grep -o "\"manifest_path\":\"[^\"]*/$1-[0-9.]*/Cargo.toml\"" | cut -d '"' -f 4)
    cp -R "$(dirname "$manifest")/$2" "$source"
}

# Makes the engine once for each version of it, and for each change of how it is made.
engine_made() {
    local is="$made/.complete" from source='' status=0
    from=$(cat fuzz/engines/Cargo.lock "fuzz/engines/$engine.sh" fuzz/engines/*.c)
    [ "$(cat "$is" 2>/dev/null)" != "$from" ] || return 0
    { make_engine && printf '%s\n' "$from" >"$is"; } || status=$?
    [ -z "$source" ] || rm -rf "${source%/source}"
    return "$status"
}

program() { echo "$made/targets/$1"; }

# Both engines' are built in one place, with the library under one name, so that only what is linked is made
# again: compile CARGO'S_ARGUMENTS...
compile() {
    local library=$built/libengine.a flags
    mkdir -p "$built"
    cmp -s "$made/libengine.a" "$library" || cp "$made/libengine.a" "$library" || return
    # A blank may stand in the path of the library, so the flags are parted by what cargo parts them by.
    flags=$(printf '%s\x1f' "${coverage[@]}")-Clink-arg=$library
    CUSTOM_LIBFUZZER_PATH=$library CUSTOM_LIBFUZZER_STD_CXX=none CARGO_ENCODED_RUSTFLAGS=$flags \
        cargo build --release --target "$host" --target-dir "$built" "$@"
}

# The targets and fuzz-stdin, which has a `main` of its own: of the library it is given what counts edges.
# Runs that begin at the same time build one after the other, since the library's name is one for both.
build() (
    local target bins=()
    mkdir -p "$work"
    exec 9>"$work/.lock"
    flock 9
    engine_made || return
    for target in "${targets[@]}"; do
        [ "$target" = fuzz-stdin ] || bins+=(--bin "$target")
    done
    compile --package framegate-fuzz --features libfuzzer --example fuzz-stdin "${bins[@]}" || return
    mkdir -p "$made/targets"
    cp -f "$built/$host/release/examples/fuzz-stdin" "$made/targets" || return
    for target in "${bins[@]}"; do
        [ "$target" = --bin ] || cp -f "$built/$host/release/$target" "$made/targets" || return
    done
)

# The seeds and the corpus in one folder, and an empty one for what comes of them. No engine of these begins
# with nothing, so where there is nothing, there is one byte.
begin() {
    out=$made/out/$1
    mkdir -p "$made/out"
    exec 8>"$out.lock"
    touch "$out.lock"
    flock -n 8 || { echo "fuzz/run: $engine is at $1 already, in $out"; return 1; }
    rm -rf "$out"
    mkdir -p "$out/inputs"
    find "fuzz/seeds/$name" "$found/corpus/$name" -type f -exec cp -t "$out/inputs" {} +
    [ -n "$(find "$out/inputs" -type f -print -quit)" ] || printf 0 >"$out/inputs/0"
    options=()
    [ ! -e "fuzz/dictionaries/$name.dict" ] || options=("$dictionary" "fuzz/dictionaries/$name.dict")
}

# Copies files, named by what is in them as libFuzzer does: keep FOLDER PREFIX FILE...
keep() {
    local folder=$1 prefix=$2 sum path
    shift 2
    [ $# -eq 0 ] || printf '%s\0' "$@" | xargs -0 sha1sum |
        while read -r sum path; do cp "$path" "$folder/$prefix$sum" || exit; done
}

# One input, without an engine.
run_once() {
    case $1 in
        fuzz-stdin) timeout 10 "$(program "$1")" <"$2" ;;
        *) timeout 10 "$(program "$1")" "$2" ;;
    esac
}

# The claim that did not hold, by the newest finding of this run, run again.
why() {
    local finding
    finding=$(find "$found/artifacts/$name" -type f -newer "$out.lock" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
    [ -n "$finding" ] || { tail -n 20 "$log"; return; }
    echo "found: $finding"
    (run_once "$1" "$finding" || true) 2>&1 | grep -a -A 2 'panicked at'
}
