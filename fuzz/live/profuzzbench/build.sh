#!/usr/bin/env bash
# The program twice, as it is fuzzed and as its coverage is measured, and a folder for it to run in with a
# database of two users: build.sh AFLNET CHECKOUT FOLDER
#
# AFLNET is a checkout of AFLNet, whose run-time is linked in. FOLDER receives `fuzzed`, `covered` and `home`.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
aflnet=$(realpath "$1") checkout=$(realpath "$2") folder=$(realpath -m "$3")
host=$(rustc -vV | sed -n 's/^host: //p')
target=$(realpath -m "${CARGO_TARGET_DIR:-$checkout/target}")/profuzzbench
mkdir -p "$target" "$folder"
# Where Cargo finds the settings of the checkout, too.
cd "$checkout"

cc -O2 -fPIC -c -o "$target/fresh.o" "$here/fresh.c"
# A server that is started anew for each input, by a fork server in its first constructor. The object itself
# is linked, so that the constructors stay.
cc -O3 -fPIC -w -I"$aflnet" -c -o "$target/runtime.o" "$aflnet/llvm_mode/afl-llvm-rt.o.c"

# Without link-time optimization, edges are counted in all crates alike. With a target named, build scripts
# are left as they are: program NAME FLAG...
program() {
    local name=$1
    shift
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        RUSTFLAGS="$* -Clink-arg=$target/fresh.o" cargo build --quiet --release --locked \
        --bin framegate --target "$host" --target-dir "$target/$name"
    cp -f "$target/$name/$host/release/framegate" "$folder/$name"
}
program fuzzed -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
    -Cllvm-args=-sanitizer-coverage-trace-pc-guard "-Clink-arg=$target/runtime.o"
# The tools that read profiles may be built without zlib.
program covered -Cinstrument-coverage -Cllvm-args=-enable-name-compression=false

rm -rf "${folder:?}/home"
mkdir "$folder/home"
install -m 600 "$here/settings.env" "$folder/home/.env"
cd "$folder/home"
# What is no server leaves no profile.
export LLVM_PROFILE_FILE=/dev/null
for user in alice bob; do "$folder/covered" user add "$user" --no-password; done
mv framegate.db prepared.db
