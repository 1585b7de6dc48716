# Earshot. `make run` shows it, `make test` proves it; `make help` lists the rest.

SHELL       := /bin/bash
VERSION     ?= $(shell git describe --tags --match 'v*' 2>/dev/null || echo 0.1.0-$$(git rev-parse --short HEAD 2>/dev/null || echo unknown))
LDFLAGS     := -s -w -X main.version=$(VERSION)
# On Windows the client is a program for the desktop: no console window opens with it.
GUI         := $(if $(filter windows,$(shell go env GOOS)), -H windowsgui)
PLATFORMS   := linux/amd64 linux/arm64 windows/amd64 darwin/arm64
TOOL        := go tool -modfile=.ci/tools.mod
BENCHTIME   ?= 1s
BASE        ?= HEAD~1
PACKAGE     ?= ./svc/roster
BENCH       ?= .
FUZZTIME    ?= 20s
# Downloads and root file systems outlive a clone, so a second one is quick.
export EARSHOT_CACHE     ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/earshot
export EARSHOT_ARTIFACTS ?= $(CURDIR)/artifacts

.PHONY: help build run test test-short cross lint proto fmt bench bench-compare bench-coordinator soak-coordinator fuzz nat-matrix nat-theory icons packages msi dist deps clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## both programs, into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./svc/earshotd
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)$(GUI)' -o bin/ ./tray/earshot

run: build ## the main job on real processes: coordinator, you, and somebody who answers
	@CGO_ENABLED=0 go build -trimpath -o bin/.demo ./tray/demo && exec bin/.demo -bin bin

test: deps cross ## everything: unit, race, integration, desktop, service, Windows under wine
	.ci/test

test-short: ## unit tests only, in seconds
	go test -short ./protocol/... ./p2p/... ./svc/... ./tray/...

cross: ## compile for every platform we ship
	@for p in $(PLATFORMS); do \
	  echo "go build for $$p"; \
	  CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build ./... || exit 1; \
	done

lint: ## vet, go fix, staticcheck, golangci-lint, buf, shellcheck, govulncheck
	.ci/lint

proto: ## generate the Go code of the secure protocol's schema
	.ci/proto generate

fmt: ## format the Go code
	gofmt -w $$(git ls-files '*.go')

bench: deps ## benchmarks, each beside its floor and other messengers (BENCHTIME=1s)
	.ci/deps peers
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

bench-compare: ## benchmarks of a commit and of this tree, by benchstat: BASE=HEAD~1 PACKAGE=./svc/roster BENCH=.
	.ci/compare '$(BASE)' '$(PACKAGE)' '$(BENCH)'

bench-coordinator: build ## storms of clients beside the floor and installed servers (ngircd, inspircd, mosquitto), into dist/bench/
	go run ./svc/load/bench $(BENCHFLAGS)

soak-coordinator: build ## half an hour of logins, crashes, slow readers and reloads with 1,000 clients
	go run ./svc/load/bench soak $(SOAKFLAGS)

fuzz: ## every fuzz target for FUZZTIME=20s
	@for p in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "fuzz $$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
	  done; \
	done

nat-matrix: deps ## every kind of network against every other, into tray/natlab/RESULTS.md
	go test -count=1 -timeout 60m ./tray/natlab -run '^Test(Conversation|Matrix)$$' -args -results $(CURDIR)/tray/natlab/RESULTS.md

nat-theory: ## every kind of NAT by RFC 4787 against every other, in memory, into svc/storm/MATRIX.md
	go test -count=1 -timeout 60m ./svc/storm -run '^TestMatrix$$' -args -matrix $(CURDIR)/svc/storm/MATRIX.md

icons: ## render PNG and ICO from the SVG sources
	icons/render.sh

packages: ## deb, rpm, apk and Arch packages of both programs, amd64 and arm64, into dist/
	go build -modfile=.ci/tools.mod -o .cache/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
	go run ./installer/linux/pack -version '$(VERSION)' -nfpm .cache/nfpm -out dist

msi: ## Windows installers of both programs, into dist/; EARSHOT_SIGN_PFX names a certificate
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go build -trimpath -ldflags '$(LDFLAGS)' -o .cache/windows/ ./svc/earshotd
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go build -trimpath -ldflags '$(LDFLAGS) -H windowsgui' -o .cache/windows/ ./tray/earshot
	installer/windows/resources.sh '$(VERSION)' .cache/windows/*.exe
	go run ./installer/windows/msi -version '$(VERSION)' -programs .cache/windows -out dist

dist: ## everything that is released, into dist/, with checksums and a list of what is in it
	installer/dist.sh '$(VERSION)' dist

deps: ## install what the tests need from Debian's packages, or say what is missing
	.ci/deps

clean: ## remove what was built
	rm -rf bin dist artifacts .cache
