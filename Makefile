# The targets that a person types. `make` lists them.
CARGO ?= cargo
CARGO_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test check tidy autobahn interop verify hostile

## help: list the targets
help:
	@sed -n 's/^## \([a-z]*\): /  \1\t/p' Makefile | expand -t 14

## run: build, make what is missing, and serve on 127.0.0.1:7420
run:
	$(CARGO) run $(CARGO_FLAGS) --release -- serve --init

## test: every test, those of the documentation included
test:
	$(CARGO) test $(CARGO_FLAGS) --no-fail-fast

## check: form, lints, documentation and the walls of the house
check: tidy
	$(CARGO) fmt --check
	$(CARGO) clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGO_FLAGS) --no-deps --quiet

## tidy: the walls of the house alone
tidy:
	$(CARGO) test $(CARGO_FLAGS) --quiet --test tidy

## autobahn: RFC 6455 conformance of the echo example, by the Autobahn test suite
autobahn:
	tests/autobahn/run

## interop: clients and token libraries of other people against the real server
interop:
	tests/interop/run

## verify: the token check beside that of five other libraries; prints where they differ
verify:
	tests/verify/run

## hostile: every attack of docs/security.md on a real server; prints what was seen
hostile:
	$(CARGO) bench $(CARGO_FLAGS) --bench hostile_table
