# The targets that a person types. `make` lists them.
CARGO ?= cargo
CARGO_FLAGS ?=
# What the compiler builds for by itself: `uname -m` says armv7l, which is no target's name.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
STATIC_TARGET = $(if $(LIBC),$(subst -gnu,-$(LIBC),$(HOST)),$(HOST))
# The crates apart share what is compiled.
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
FUZZ = $(notdir $(wildcard fuzz/seeds/*))

.DEFAULT_GOAL := help
.PHONY: help run test check tidy autobahn interop proxies fail2ban hostile bench sim sim-faults \
	planted planted-check constant-time fuzz fuzz-afl fuzz-honggfuzz fuzz-smoke fuzz-asan fuzz-speed fuzz-live \
	fuzz-live-check fuzz-engines-check fuzz-cov fuzz-again fuzz-tmin fuzz-min verify micro instructions \
	instructions-baseline static api api-write

## help: list the targets
help:
	@sed -n 's/^## \([a-z0-9-]*\): /  \1\t/p' Makefile | expand -t 26

## run: build, make what is missing, and serve on 127.0.0.1:7420
run:
	$(CARGO) run $(CARGO_FLAGS) --release -- serve --init

## test: every test, those of the documentation included
test:
	$(CARGO) test $(CARGO_FLAGS) --workspace --no-fail-fast

## check: form, lints, documentation and the walls of the house
check: tidy
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(CARGO_FLAGS) --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGO_FLAGS) --workspace --no-deps --quiet
	$(CARGO) fmt --check --manifest-path tests/constant_time/Cargo.toml
	$(CARGO) clippy $(CARGO_FLAGS) --manifest-path tests/constant_time/Cargo.toml --target-dir $(TARGET_DIR) -- -D warnings
	$(CARGO) fmt --check --manifest-path benches/peers/rust/Cargo.toml
	$(CARGO) clippy $(CARGO_FLAGS) --manifest-path benches/peers/rust/Cargo.toml --target-dir $(TARGET_DIR) --all-targets -- -D warnings
	$(CARGO) fmt --check --manifest-path benches/micro/Cargo.toml
	$(CARGO) clippy $(CARGO_FLAGS) --manifest-path benches/micro/Cargo.toml --target-dir $(TARGET_DIR) -- -D warnings

## tidy: the walls of the house alone
tidy:
	$(CARGO) test $(CARGO_FLAGS) --quiet --test tidy

## api: whether the library's public face is the one in tests/api/api.txt
api:
	tests/api/run

## api-write: writes tests/api/api.txt anew
api-write:
	tests/api/run write

## autobahn: RFC 6455 conformance of the echo example, by the Autobahn test suite
autobahn:
	tests/autobahn/run

## interop: clients and token libraries of other people against the real server
interop:
	tests/interop/run

## proxies: nginx, HAProxy, Caddy and Apache in front, as docs/operations.md has them
proxies:
	tests/proxies/run

## fail2ban: its reading of our log, by the documented pattern
fail2ban:
	tests/fail2ban/run

## verify: the token check beside that of five other libraries; prints where they differ
verify:
	tests/verify/run

## hostile: every attack of docs/security.md on a real server; prints what was seen
hostile:
	$(CARGO) bench $(CARGO_FLAGS) --bench hostile_table

## bench: what everything costs beside servers of other people: make bench ONLY=round-trip-1
bench:
	benches/peers/build
	$(CARGO) build $(CARGO_FLAGS) --release
	install -D $(TARGET_DIR)/release/framegate $(TARGET_DIR)/shipped/framegate
	$(CARGO) bench $(CARGO_FLAGS) --bench load -- --peers \
		--program $(abspath $(TARGET_DIR))/shipped/framegate \
		$(if $(ONLY),$(ONLY),--out $(CURDIR)/docs/benchmarks)

## static: one program that needs no library; with LIBC=musl, in the least memory
static:
	RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" \
		$(CARGO) build $(CARGO_FLAGS) --release --target $(STATIC_TARGET)
	@echo "made $(TARGET_DIR)/$(STATIC_TARGET)/release/framegate"

## sim: the whole core by seeds: make sim SEED=0 SEEDS=2000 OPS=5000
sim:
	SEED=$(SEED) SEEDS=$(SEEDS) OPS=$(OPS) \
		$(CARGO) bench $(CARGO_FLAGS) --package framegate-fuzz --profile simulation --bench simulation

## sim-faults: faults planted in a copy, one at a time: the simulator or a test finds each
sim-faults:
	tests/planted/run

## planted: seconds until each fuzzer triggers each planted fault; with FAULT=7, whether it is noticed
planted:
	fuzz/planted/run $(if $(FAULT),prove $(FAULT),measure) $(or $(SECS),60) $(FINDERS)

## planted-check: whether the faults of `make planted` still fit the sources, and the copy compiles
planted-check:
	fuzz/planted/run check

## constant-time: whether a MAC's check tells nothing by its time; prints what was seen
constant-time:
	tests/constant_time/run

## fuzz: one target for a time: make fuzz T=envelope SECS=600
fuzz:
	fuzz/run $(or $(SECS),60) $(or $(filter $(T),$(FUZZ)),$(error T=target, one of: $(FUZZ)))

## fuzz-afl: the same by AFL++; T=fuzz-stdin too, by standard input
## fuzz-honggfuzz: the same by honggfuzz; T=fuzz-stdin too
fuzz-afl fuzz-honggfuzz: FUZZ += fuzz-stdin
fuzz-afl fuzz-honggfuzz:
	ENGINE=$(@:fuzz-%=%) fuzz/run $(or $(SECS),60) $(or $(filter $(T),$(FUZZ)),$(error T=target, one of: $(FUZZ)))

## fuzz-smoke: every target for 20 seconds: make fuzz-smoke ENGINE=afl SECS=5
fuzz-smoke:
	ENGINE=$(ENGINE) fuzz/run $(or $(SECS),20)

## fuzz-engines-check: do AFL++ and honggfuzz, as they are called here, tell and keep what they find?
fuzz-engines-check:
	fuzz/engines/check

## fuzz-asan: seeds and a minute of every target, and the store with SQLite, under AddressSanitizer
fuzz-asan:
	fuzz/asan $(or $(SECS),60)

## fuzz-speed: executions a second of fuzz-stdin, each way, beside the live server
fuzz-speed:
	fuzz/speed

## fuzz-live: boofuzz against the live server for SECS seconds, with a monitor of its process
fuzz-live:
	fuzz/live/run $(or $(SECS),60)

## fuzz-live-check: is each way noticed in which a live server may end?
fuzz-live-check:
	fuzz/live/run --check

## fuzz-cov: regions of the core that seeds and corpora reach; LINES=1 lists what they do not
fuzz-cov:
	fuzz/coverage $(if $(LINES),--lines)

## fuzz-again: runs a finding again: make fuzz-again T=frames FILE=fuzz/artifacts/frames/crash-...
## fuzz-tmin: makes a finding small, the same way
fuzz-again fuzz-tmin:
	RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		cargo fuzz $(patsubst again,run,$(@:fuzz-%=%)) --features libfuzzer -s none --no-cfg-fuzzing \
		$(or $(filter $(T),$(FUZZ)),$(error T=target, one of: $(FUZZ))) $(or $(FILE),$(error FILE=finding))

## fuzz-min: the shortest of the corpora (of T) that reach new code, into fuzz/seeds
fuzz-min:
	fuzz/minimise $(T)

## micro: what the parts of a round trip cost by the clock, beside the jsonwebtoken crate
micro:
	benches/micro/run time

## instructions: the same by instructions, held to benches/micro/instructions.txt
instructions:
	benches/micro/run compare

## instructions-baseline: writes benches/micro/instructions.txt anew
instructions-baseline:
	benches/micro/run baseline
