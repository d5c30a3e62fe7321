# What people type. `make help` lists it; CONTRIBUTING.md explains it.

.DEFAULT_GOAL := help
.PHONY: help demo test lint tools root

# The Envoy under test. The recipes install it; set it to try another build.
export SLUICE_ENVOY ?= $(shell tests/tools/install-envoy --path)
# Errors that tests provoke need no backtrace, and taking one is slow.
export RUST_LIB_BACKTRACE := 0

programs := --package sluice --package sluice-proxy --package sluice-init
target := $(abspath $(or $(CARGO_TARGET_DIR),target))

help: ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "demo and test need root, for they make network namespaces."

demo: root tools ## Run the data path on this machine and show it; KEEP=1 leaves it running
	cargo build $(programs) --package sluice-tests --bins --example demo
	@SLUICE_PROGRAMS=$(target)/debug KEEP=$(KEEP) $(target)/debug/examples/demo

test: export CARGO_INCREMENTAL := 0
test: root tools lint ## Check and test everything
	cargo build --workspace --bins --tests --examples
	SLUICE_PROGRAMS=$(target)/debug cargo test --workspace

lint: ## Check format, lints, licences and dependencies
	cargo fmt --all --check
	$$(tests/tools/install-cargo-deny) --log-level warn --locked check --hide-inclusion-graph licenses bans sources
	cargo clippy --workspace --all-targets -- --deny warnings

tools: ## Install what tests and demo call: packages, and the pinned Envoy
	@tests/tools/install-packages
	@test -x "$(SLUICE_ENVOY)" || tests/tools/install-envoy >/dev/null

root:
	@test "$$(id -u)" -eq 0 || { \
		echo 'network namespaces need root; run: sudo -E env "PATH=$$PATH" make $(MAKECMDGOALS)' >&2; \
		exit 1; }
