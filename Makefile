# Lossless Jet: one line a target; `make help` prints them.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
include dev/env.mk

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## Everything from nothing: cluster, chart, job over real input, stop, return, proof (BREAK=drop|double|swap spoils it)
	@dev/check-host
	@demo/run

clean-demo: ## Take the demo and its Kubernetes away without a trace
	@demo/clean

test: ## All tests: units, crash, simulation, processes, a real API server, a real Kubernetes, the demo
	@dev/check-host
	@dev/test

unit: ## Tests that need no Kubernetes
	@dev/check-host
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	JET_NO_API_SERVER=1 cargo test --workspace --locked

e2e: build ## End-to-end tests on the local Kubernetes (TEST=name for one of them)
	@e2e/kube/setup
	@dev/e2e $(TEST)

e2e-full: build ## Every long proof: faults at every place, cycles, all named cases on the local Kubernetes; goes on where it was ended
	@e2e/kube/setup
	@dev/e2e-full

bars: ## Figures that are promised, one line each: id, value, bar, holds or short (AREA=... for one area)
	@dev/bars $(AREA)

bench: ## Benchmarks
	cargo bench --workspace

bench-store: ## Benchmark of the hot-restart store against the disk and other stores (ARGS="--quick", "--grow 4", "--help")
	@dev/bench-store $(ARGS)

bench-map: ## Maps of our members beside Redis and real Hazelcast members, each on one core (ARGS="--quick", "--peers redis", "--help")
	@dev/bench-map $(ARGS)

store-faults: ## Real faults under the hot-restart store on ext4, XFS and btrfs images, as root (ARGS=row_11 for some of them)
	@dev/store-faults $(ARGS)

fuzz-store: ## Fuzz targets of the hot-restart store (TARGET=... for one of them, SECONDS_EACH=240)
	@dev/fuzz-store

fuzz-protocol: ## Fuzz targets of the client protocol (TARGET=... for one of them, SECONDS_EACH=240)
	@dev/fuzz-protocol

fuzz-member: ## Fuzz targets of the member: settings, letters of consensus, the wire between members (TARGET=..., SECONDS_EACH=240)
	@dev/fuzz-member

store-mutants: ## Bugs put back on purpose into the hot-restart store, each caught by the test that its patch names (ONLY="03 11" for some)
	@dev/store-mutants $(ONLY)

conformance: ## Official Python, Node, Go and Java clients against members of the last build (CLUSTER=oracle: real Hazelcast; lan: networks that are cut; ARGS="--only 'lock.*'")
	@dev/conformance $(ARGS)

soak: build ## Histories of a simulated cluster by seed, for SECONDS (600), from seed FROM on; ends with 1 at the first that breaks
	$(CARGO_TARGET_DIR)/debug/soak $(or $(SECONDS),600) $(FROM)

sim-mutants: ## Bugs put back on purpose into the member, each caught by a history of the simulated cluster (ONLY="03 11" for some)
	@dev/sim-mutants $(ONLY)

build: ## Programs, one profile
	cargo build --workspace --bins --lib --locked

images: build ## Images of operator and member, without Docker or a registry (REPO=... also names them for one)
	@dev/images

dist: ## dist/install.yaml and dist/definitions.yaml: the chart rendered, for people without Helm
	cargo run --quiet --locked -p xtask -- dist

kube: ## Start the local Kubernetes (or use that of KUBECONFIG)
	@dev/kube-up

lint: ## Formatting, clippy, shellcheck, helm lint, licences
	@for tool in cargo-deny shellcheck helm; do command -v $$tool > /dev/null || { echo "lint: $$tool is missing: cargo install cargo-deny --locked; apt install shellcheck; helm is in the directory that e2e/kube/kube path prints"; exit 1; }; done
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	shellcheck -x --source-path=SCRIPTDIR dev/check-host dev/test dev/e2e dev/e2e-full dev/images dev/kube-up dev/bench-store dev/store-faults dev/fuzz-store dev/fuzz-protocol dev/fuzz-member dev/store-mutants dev/sim-mutants dev/conformance demo/run demo/prove demo/clean demo/fresh demo/input e2e/kube/kube
	helm lint charts/jet --set image.repository=example
	cargo deny check licenses bans sources

advisories: ## Known weaknesses of dependencies (asks the advisory database)
	cargo deny check advisories

.PHONY: help demo clean-demo test unit e2e e2e-full bars bench bench-store bench-map store-faults fuzz-store fuzz-protocol fuzz-member store-mutants soak sim-mutants conformance build images dist kube lint advisories
