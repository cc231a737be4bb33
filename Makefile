# The commands of this repository. CI runs the same ones (.ci/run).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Servers that `make setup` unpacked.
export PATH := $(CURDIR)/.cache/servers/usr/bin:$(PATH)

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
DENY_VERSION := 0.20.2
DENY := $(CURDIR)/.cache/tools/bin/cargo-deny

# `make demo ONCE=1` exits by itself; `make demo PROFILE=sloth` shows Sloth's rules.
ONCE ?=
# `make test FULL=1` runs every fault.
FULL ?=
PROFILE ?= lean
ONCE_FLAG = $(if $(filter-out 0 no false,$(ONCE)),--once)

.PHONY: help
help: ## Say what each command does
	@echo "make demo    both stories with real servers (ONCE=1 exits by itself); or one of them:"
	@echo "  demo-slo     break a shop, watch the page arrive (PROFILE=sloth shows Sloth's rules)"
	@echo "  demo-quota   a Kafka client runs away, watch it being throttled and released"
	@echo "make test    unit, property, golden and end-to-end tests, the last with the real servers (FULL=1: every fault)"
	@echo "make lint    formatting, clippy, documentation, licences and duplicates of dependencies"
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
test: setup ## All tests
	@echo "==> test: unit, property, golden, end-to-end and documentation tests"
	@INSTA_UPDATE=no $(CARGO) test --workspace --locked
ifeq ($(FULL),1)
	@echo "==> test: the faults that only FULL=1 runs"
	@$(CARGO) test --workspace --locked --test cluster -- --ignored
endif

.PHONY: headers
headers:
	@testbed/setup.sh build

.PHONY: lint
lint: fmt clippy doc deny ## All checks that need no server

.PHONY: fmt
fmt:
	@echo "==> lint: formatting"
	@$(CARGO) fmt --all --check

.PHONY: clippy
clippy: headers
	@echo "==> lint: clippy"
	@# Nothing is linked, so the fuzz targets need no libFuzzer, which would be compiled with C++.
	@CUSTOM_LIBFUZZER_PATH=/dev/null $(CARGO) clippy --workspace --all-targets --locked -- -D warnings

.PHONY: doc
doc: headers
	@echo "==> lint: documentation"
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked --quiet

$(DENY):
	@echo "==> lint: build cargo-deny $(DENY_VERSION) (once, about two minutes)"
	@$(CARGO) install --quiet --locked --no-default-features --profile dev --config profile.dev.debug=false \
		--root .cache/tools cargo-deny@$(DENY_VERSION)

.PHONY: deny
deny: $(DENY)
	@echo "==> lint: licences, duplicates and sources of dependencies"
	@$(DENY) --workspace --locked check licenses bans sources
	@echo "==> lint: advisories"
	@testbed/advisories.sh $(DENY)

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
