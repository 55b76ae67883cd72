# `make run` and `make test` are all a newcomer needs. Every target builds into one folder, so that what
# takes long (RocksDB) is compiled once: target/, or wherever CARGO_TARGET_DIR points.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: run build test lint bench bench-store demo fuzz sim soak clean

run: build
	exec $(CARGO_TARGET_DIR)/debug/nexus serve $(ARGS)

build:
	scripts/ensure-system-packages build
	cargo build --locked --workspace --bins

test:
	scripts/ensure-system-packages build test
	scripts/test-suites build unit simulation black-box

sim:
	scripts/ensure-system-packages build
	scripts/test-suites simulation

soak:
	scripts/ensure-system-packages build test
	scripts/soak

fuzz:
	scripts/fuzz $(ARGS)

bench: build
	python3 sytest-like-tests/bench.py $(ARGS)

bench-store:
	cargo run --locked -p nexus-maintenance --example bench_store -- $(ARGS)

demo: build
	scripts/ensure-system-packages test
	sytest-like-tests/demo.sh

lint:
	scripts/lint

clean:
	cargo clean
