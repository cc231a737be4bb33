# The commands of this repository. CI runs the same ones (.ci/run).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Servers that `make setup` unpacked.
export PATH := $(CURDIR)/.cache/servers/usr/bin:$(PATH)

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
TIMED := testbed/timed.sh
DENY_VERSION := 0.20.2
DENY := $(CURDIR)/.cache/tools/bin/cargo-deny

# `make demo ONCE=1` exits by itself; `make demo PROFILE=sloth` shows Sloth's rules.
ONCE ?=
# `make test FULL=1` runs many more random faults.
FULL ?=
export FULL
ROUNDS ?= 10
PROFILE ?= lean
ONCE_FLAG = $(if $(filter-out 0 no false,$(ONCE)),--once)

.PHONY: help
help: ## Say what each command does
	@echo "make demo    both stories with real servers (ONCE=1 exits by itself); or one of them:"
	@echo "  demo-slo     break a shop, watch the page arrive (PROFILE=sloth shows Sloth's rules)"
	@echo "  demo-quota   a Kafka client runs away, watch it being throttled and released"
	@echo "make test    unit, property, golden and end-to-end tests, the last with the real servers (FULL=1: many more random faults)"
	@echo "make soak    the tests on Kafka clusters, ROUNDS times beside a process that keeps one core busy"
	@echo "make lint    formatting, clippy, documentation"
	@echo "make audit   licences, duplicates, sources and known vulnerabilities of dependencies"
	@echo "make bench   speed and cost of rules, of the quota loop and its decision, of an idle daemon, as tables (QUICK=1: short)"
	@echo "make setup   fetch what build, demo and test need (they do it themselves)"
	@echo "make clean   remove everything that was built or fetched"

.PHONY: setup
setup: ## Fetch what is missing
	@echo "==> setup: what build, demo and test need"
	@testbed/setup.sh

.PHONY: demo
demo: ## Both stories, one after the other
	@$(MAKE) demo-slo ONCE=1
	@$(MAKE) demo-quota

.PHONY: demo-slo
demo-slo: ## Break a shop and watch the page arrive
	@echo "==> setup: what build and demo need"
	@testbed/setup.sh build servers
	@echo "==> demo: build slo-engine and the testbed (release)"
	@$(CARGO) build --release --locked -p slo-engine -p testbed
	@$(TARGET_DIR)/release/testbed demo --slo-engine $(TARGET_DIR)/release/slo-engine --profile $(PROFILE) $(ONCE_FLAG)

.PHONY: demo-quota
demo-quota: setup ## Let a Kafka client run away and watch it being throttled and released
	@echo "==> demo: build quota-enforcer, slo-engine and the testbed (release)"
	@$(CARGO) build --release --locked -p quota-enforcer -p slo-engine -p testbed --features testbed/kafka
	@$(TARGET_DIR)/release/testbed demo-quota --quota-enforcer $(TARGET_DIR)/release/quota-enforcer \
		--slo-engine $(TARGET_DIR)/release/slo-engine $(ONCE_FLAG)

.PHONY: test
test: ## All tests
	@echo "==> setup: what build and tests need"
	@$(TIMED) "setup" testbed/setup.sh
	@CARGO=$(CARGO) testbed/test.sh

.PHONY: soak
soak: setup ## The tests that chance could fail, again and again on a busy machine
	@CARGO=$(CARGO) testbed/soak.sh $(ROUNDS)

.PHONY: headers
headers:
	@testbed/setup.sh build

.PHONY: lint
lint: fmt clippy doc audited ## All checks that need no server

.PHONY: fmt
fmt:
	@echo "==> lint: formatting"
	@$(TIMED) "lint: formatting" $(CARGO) fmt --all --check

.PHONY: clippy
clippy: headers
	@echo "==> lint: clippy"
	@# Nothing is linked, so the fuzz targets need no libFuzzer, which would be compiled with C++.
	@CUSTOM_LIBFUZZER_PATH=/dev/null $(TIMED) "lint: clippy" $(CARGO) clippy --workspace --all-targets --locked -- -D warnings

.PHONY: doc
doc: headers
	@echo "==> lint: documentation"
	@RUSTDOCFLAGS="-D warnings" $(TIMED) "lint: documentation" $(CARGO) doc --workspace --no-deps --document-private-items --locked --quiet

# cargo-deny takes minutes to build, so that `make lint` only asks whether this set of dependencies was audited.
AUDITED := sha256sum Cargo.lock deny.toml

.PHONY: audited
audited:
	@$(AUDITED) | cmp -s - audited.sha256 || { \
		echo "Cargo.lock or deny.toml has changed since dependencies were audited: run 'make audit' and commit audited.sha256"; exit 1; }

$(DENY):
	@echo "==> audit: build cargo-deny $(DENY_VERSION) (once, some minutes)"
	@$(CARGO) install --quiet --locked --no-default-features --profile dev --config profile.dev.debug=false \
		--root .cache/tools cargo-deny@$(DENY_VERSION)

.PHONY: audit
audit: $(DENY) ## Check dependencies: after each change of Cargo.lock, and before a release for new advisories
	@echo "==> audit: licences, duplicates and sources of dependencies"
	@$(DENY) --workspace --locked check licenses bans sources
	@echo "==> audit: advisories"
	@testbed/advisories.sh $(DENY)
	@$(AUDITED) >audited.sha256

.PHONY: bench
bench: setup ## Tables of speed and cost
	@echo "==> bench: build slo-engine (release)"
	@$(CARGO) build --release --locked -p slo-engine -p testbed
	@shopt -s nullglob; for script in bench/*.sh; do echo "==> bench: $$script"; SLO_ENGINE=$(TARGET_DIR)/release/slo-engine "$$script"; done

.PHONY: clean
clean: ## Remove what was built or fetched
	@echo "==> clean: remove $(TARGET_DIR) and .cache"
	@$(CARGO) clean --quiet
	@rm -rf .cache
