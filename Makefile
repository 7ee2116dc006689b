# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` do everything on a fresh Debian machine, as root.

# The binary is static: it must not depend on what the host has, and it runs inside containers'
# namespaces before their root changes.
export CARGO_BUILD_TARGET ?= $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
export RUSTFLAGS ?= -C target-feature=+crt-static
TARGET_DIR := target/$(CARGO_BUILD_TARGET)
PREFIX ?= /usr/local

.PHONY: demo test lint build install deps test-deps

deps:
	@./tests/setup/install build

test-deps: deps
	@./tests/setup/install test

build: deps
	cargo build --release

demo: build
	@./tests/setup/install demo
	@./tests/setup/demo $(TARGET_DIR)/release/brig

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

test: test-deps lint
	BRIG_TESTS_COMPLETE=1 cargo nextest run --workspace

install: build
	install -D -m 0755 $(TARGET_DIR)/release/brig $(DESTDIR)$(PREFIX)/sbin/brig

# Long runs, in no submission.
.PHONY: bench fuzz soak races
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))

bench: build
	@./tests/setup/install test
	python3 benches/start --rounds 60 --markdown $(TARGET_DIR)/release/brig
	python3 benches/policy --markdown $(TARGET_DIR)/release/brig
	python3 benches/mediation --markdown $(TARGET_DIR)/release/brig
	cargo bench -p brig-policy

fuzz: deps
	@command -v cargo-fuzz >/dev/null || env -u CARGO_BUILD_TARGET -u RUSTFLAGS cargo install --locked cargo-fuzz
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target && \
	  env -u CARGO_BUILD_TARGET -u RUSTFLAGS RUSTC_BOOTSTRAP=1 cargo fuzz run $$target \
	    fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

soak: test-deps
	BRIG_TESTS_ROUNDS=10000 cargo nextest run -p brig --profile soak -E 'test(soak::)'

races: test-deps
	BRIG_RACE_ROUNDS=1000000 cargo nextest run -p brig --profile soak -E 'test(attacks::) | test(floods::callers_that_are_killed)'
