# One profile and one target directory for everything, outside the clone, so that dependencies are compiled once.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/aval/target
export AVAL_PYTHON ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/aval/python/bin/python
export PATH := $(CARGO_TARGET_DIR)/release:$(PATH)

CARGO_BUILD = cargo build --release --locked --workspace
# `cargo nextest` where it is installed, else `cargo test`: the same tests, the same profile.
ifneq ($(shell cargo nextest --version 2>/dev/null),)
CARGO_TEST = cargo nextest run --release --locked --workspace --no-fail-fast
else
CARGO_TEST = cargo test --release --locked --workspace --no-fail-fast
endif

# Matters of taste in which this code differs: the engine's generic types are long, and its tasks are detached on purpose.
CLIPPY_ALLOWED = -A clippy::type_complexity -A clippy::too_many_arguments -A clippy::let_underscore_future \
	-A clippy::drop_non_drop -A clippy::filter_map_bool_then -A clippy::unit_arg

.DEFAULT_GOAL := help
PORT ?= 8443
.PHONY: help setup build demo test lint conformance conformance-server fuzz-api interop soak simulate fuzz bench bench-identity generate clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install the Debian packages that the build needs, if they are missing
	@./scripts/setup

build: setup ## build avald, aval-identityd and aval
	$(CARGO_BUILD) --bins

demo: build ## start a network and walk the story; ONCE=1 stops after it, else it stays up; ACT=governance: the second act
	@./examples/demo$(if $(ACT),-$(ACT)) $(if $(ONCE),--once)

test: setup ## all tests: unit, property, vectors, simulation, end to end with real processes
	$(CARGO_BUILD) --all-targets
	$(CARGO_TEST)

lint: setup ## formatting and warnings
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings $(CLIPPY_ALLOWED)

simulate: setup ## SEEDS (default 100) fresh seeds of random networks; AVAL_SEED=n replays one; TEETH=1 tries the deliberate faults
ifdef TEETH
	cargo test --release --locked --workspace --lib --features aval-node/sabotage simulation_catches -- --nocapture
else
	$(if $(AVAL_SEED),,AVAL_SEEDS=$(or $(SEEDS),100)) cargo test --release --locked --workspace --lib \
		simulation_of_random_networks_keeps -- --nocapture
endif

fuzz: setup ## every decoder under libFuzzer for SECONDS (default 60) each; needs a nightly compiler
	./tests/fuzz/run $(or $(SECONDS),60)

conformance: setup ## the vectors of the specifications (AVAL_VECTORS, ../shared/vectors) and our own, with a table
	./tests/conformance/vectors

conformance-server: build ## what the public HTTP suites need, on PORT (8443); tests/conformance/README.md says how to run them
	./tests/conformance/server conformance $(PORT)

fuzz-api: build ## REQUESTS (default 10000) malformed requests against the descriptions of issuer, verifier and resolver
	./tests/conformance/fuzz-api $(or $(REQUESTS),10000)

interop: setup ## other people's software in both directions, with a matrix; it is installed for it
	cargo test --release --locked --workspace --test interop -- --ignored --nocapture

soak: setup ## a thousand random networks, the deliberate faults, each scenario for ten minutes, every test, a million DIDs
	$(MAKE) --no-print-directory simulate SEEDS=$(or $(SEEDS),1000)
	$(MAKE) --no-print-directory simulate TEETH=1
	AVAL_SOAK_SECONDS=$(or $(SECONDS),600) $(CARGO_TEST)
	aval-bench storage --dids 1000000 --report bench-storage.json
	aval-bench join --dids 1000000 --runs 3 --report bench-join.json

bench: build ## measure and write bench-report.json, bench-storage.json and bench-join.json
	aval-bench --report bench-report.json
	aval-bench storage --report bench-storage.json
	aval-bench join --report bench-join.json

bench-identity: build ## verifications over HTTP against those of @digitalbazaar/vc, in the same run
	PORT=$(PORT) ./tests/conformance/server conformance $(PORT) ./tests/interop/digitalbazaar/bench

generate: setup ## rewrite generated files: API descriptions, error table, vectors
	AVAL_GENERATE=1 $(CARGO_TEST)

clean: ## remove what demo and bench wrote
	rm -rf demo conformance bench-report.json bench-storage.json bench-join.json
