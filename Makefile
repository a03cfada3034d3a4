# `make` alone lists the commands. Node, and root on Linux for droplets that boot, are all they need.
SHELL := /bin/bash
STACK ?= dev
ARGS ?=
TSX := node_modules/.bin/tsx
# `make up ARGS=--quiet` passes options on.
SANDBOX := $(TSX) sandbox/cli.ts

.DEFAULT_GOAL := help
.PHONY: help up down preview plan env domain status top dashboard history drift doctor test soak bench

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: node_modules ## a DigitalOcean on this machine, with the dev stack deployed to it
	@$(SANDBOX) up $(ARGS)

preview: node_modules ## what a first `pulumi up` would do; needs no root, makes nothing
	@$(SANDBOX) preview $(ARGS)

plan: ## what `pulumi up` would do: servers, cost, risk, policy; STACK=prod, ARGS="--markdown FILE"
status: ## the servers as DigitalOcean and HAProxy see them; STACK=prod for another stack
top: ## the same, live, until q; STACK=prod for another stack
dashboard: ## the pool over time, in a browser on this machine; STACK=prod, ARGS="--port 8414 --quiet"
history: ## who scaled or changed the stack, when and why; STACK=prod, ARGS="--limit 50"
drift: ## what is not as Pulumi made it, and how to fix it; STACK=prod, ARGS="--markdown FILE"
doctor: ## clear what a killed run left, delete what is orphaned; STACK=prod for another stack

# The dev stack is in the DigitalOcean of `make up`, any other one where the shell's environment says.
plan status top dashboard history drift doctor: node_modules
	@if [ '$(STACK)' = dev ]; then env="$$($(SANDBOX) env)" && eval "$$env"; fi && $(TSX) tools/main.ts $@ $(STACK) $(ARGS)

env: node_modules ## export lines: eval "$(make -s env)", and your own `pulumi` works on the dev stack
	@$(SANDBOX) env

domain: node_modules ## a domain in the DigitalOcean of `make up`, and how to reach its names: NAME=example.com
	@$(SANDBOX) domain '$(NAME)' $(ARGS)

down: node_modules ## destroy the dev stack, and remove everything that `make up` made
	@$(SANDBOX) down $(ARGS)

test: node_modules ## all tests, as root on Linux those that boot droplets, too; ARGS=--quick: only checks and unit tests
	@$(TSX) test/run.mts $(ARGS)

soak: node_modules ## kill `pulumi up` at some thirty moments, and the long cases of what fails; some three hours
	@$(TSX) test/soak.mts
	@node_modules/.bin/vitest run --config test/vitest.config.mts --project soak --reporter verbose

bench: node_modules ## what each change loses and how long it takes, beside DOProxy; 30 minutes; SCENARIO=name for one
	@$(TSX) test/bench/main.mts $(SCENARIO)

node_modules: package-lock.json
	@echo "· installing npm packages (no install script runs)" >&2
	@npm ci --engine-strict --loglevel=error >&2 && touch node_modules
