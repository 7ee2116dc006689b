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
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

test: test-deps lint
	BRIG_TESTS_COMPLETE=1 cargo nextest run --workspace

install: build
	install -D -m 0755 $(TARGET_DIR)/release/brig $(DESTDIR)$(PREFIX)/sbin/brig
