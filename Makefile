# Neargate: `make demo` runs a Fargate stack on this machine, `make test` tests everything. Each target sets up what it needs.
SHELL   := /bin/bash
MODELS  ?= ../shared/models
TEMPLATES ?= ../shared/templates
DATA    ?= /var/lib/neargate
GO      ?= go
BIN     := bin/neargate
# What runs Neargate and the demo; what the tests use beyond that (gcc and libc6-dev: the race detector needs cgo); what make bench measures with.
PACKAGES       := containerd runc nftables haproxy iproute2 curl ca-certificates
TEST_PACKAGES  := awscli skopeo iputils-ping gcc libc6-dev
BENCH_PACKAGES := iperf3 wrk
# sudo and CI often leave Go's usual place out of PATH.
export PATH := $(PATH):/usr/local/go/bin
# Root in somebody else's checkout: git refuses to answer, and go build would fail for want of a revision to stamp.
export GOFLAGS := $(strip $(GOFLAGS) $(shell git rev-parse HEAD >/dev/null 2>&1 || echo -buildvcs=false))

.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-bench build demo demo-down test unit fuzz bench lint generate clean

help: ## what can be done here
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what this machine lacks (apt; asks for root)
	@./setup $(PACKAGES)

setup-test:
	@./setup $(PACKAGES) $(TEST_PACKAGES)

setup-bench:
	@./setup $(PACKAGES) $(BENCH_PACKAGES)

build: setup ## build bin/neargate
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/neargate

demo: build ## run the example stack and reach it through its load balancer
	@./examples/web-api/demo $(BIN) $(DATA)

demo-down: build ## delete the demo, stop Neargate, and leave nothing behind
	@./examples/web-api/demo-down $(BIN) $(DATA)

test: setup-test build ## everything CI runs: vet, unit and namespace tests with the race detector, whole-daemon stories
	@./test/run

unit: ## unit tests alone: no root, no containerd
	$(GO) test ./internal/... ./cmd/...

fuzz: ## every fuzz target for TIME (10s)
	@./test/fuzz all $(or $(TIME),10s)

bench: setup-bench build ## measure against the baseline of the same run; writes bench.json
	$(GO) run ./test/bench -out bench.json

lint: ## vet, staticcheck, formatting
	@test -z "$$(gofmt -l cmd internal test examples)" || { gofmt -l cmd internal test examples; echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

generate: ## make internal/awsapi anew from the API models (MODELS=path)
	$(GO) run ./internal/awsapi/gen -models $(MODELS) -manifest internal/awsapi/manifest.txt -out internal/awsapi

clean: ## remove what was built
	rm -rf bin bench.json
