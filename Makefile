SHELL := /bin/sh
.DEFAULT_GOAL := help
ENV ?= local
PYTHON ?= python3
# Nobody is asked, so nothing is planned twice: `make preview` shows it, and checks refuse before anything is touched.
AT_ONCE := --yes --skip-preview
# An environment of another target on this one: `make up ENV=lmmc TARGET=local`.
CONFIG = $(if $(TARGET),-c watchstack:target=$(TARGET))
# While a rehearsal of ENV is on: its engine, its provider and its settings.
-include .watchstack/rehearsal/$(ENV).mk
STANDINS = PYTHONPATH=$(CURDIR):$(CURDIR)/tests $(BIN)/python -m standins.rehearse
export PYTHONPATH := $(CURDIR)
# Without byte-code every start of Pulumi's Python costs three times as much, and an update starts it twice.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
REQUIREMENTS := .venv/requirements

.PHONY: help up preview down rehearse tools test check fast generate docs engine e2e e2e-processes e2e-containers mutate benchmark

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: tools ## install what is needed, bring up ENV (default local), on TARGET if given, and show its URLs
	@$(BIN)/python -m toolchain.pulumi $(ENV) -- up $(AT_ONCE) $(CONFIG)
	@./watchstack status -e $(ENV) $(CONFIG)

preview: tools ## what `make up` would change, text by text
	@$(BIN)/python -m toolchain.pulumi $(ENV) -- preview --diff $(CONFIG)

down: tools ## take ENV down: its processes, files, data and state
	@$(BIN)/python -m toolchain.pulumi $(ENV) -- destroy $(AT_ONCE) --remove
	@./watchstack audit -e $(ENV) $(CONFIG)
	@$(if $(REHEARSAL),$(STANDINS) $(ENV) --end)

rehearse: tools ## as `make up`, on Docker with stand-ins for registries and Pulumi's plugin, until `make down`
	@$(STANDINS) $(ENV)
	@$(MAKE) --no-print-directory up ENV=$(ENV)

tools: $(REQUIREMENTS) ## install the Python environment, the Pulumi engine and the programs
	@$(BIN)/python -m toolchain.install

$(REQUIREMENTS): requirements-dev.txt requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the Python environment"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m compileall -q .venv/lib || true
	@cat requirements.txt requirements-dev.txt > $@

test: tools check engine e2e ## everything: checks, engine tests, end-to-end tests

check: $(REQUIREMENTS) ## format, ruff, mypy strict, fast tests, generated files unchanged
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/pytest -q -n auto
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code -- docs tests/golden tests/dashboards/golden || { echo "generated files changed: commit them" >&2; exit 1; }

fast: $(REQUIREMENTS) ## the fast tests alone
	@$(BIN)/pytest -q -n auto

generate: $(REQUIREMENTS) ## make the generated files anew
	@$(BIN)/python -m docs.generate
	@$(BIN)/python -m dashboards --out tests/dashboards/golden

docs: $(REQUIREMENTS) ## the documentation as a site, in site/; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html; with search: $(BIN)/python -m http.server -b 127.0.0.1 -d site"

engine: tools ## tests with the real Pulumi engine
	@$(BIN)/pytest -q -m engine

e2e: tools ## tests with the real engine and the real programs
	@$(MAKE) --no-print-directory -j 2 -Oline e2e-processes e2e-containers
	@$(BIN)/pytest -q -m "e2e and alone"

e2e-processes:
	@$(BIN)/pytest -q -m "e2e and not contained and not alone"

e2e-containers:
	@$(BIN)/pytest -q -m "e2e and contained and not alone"

mutate: tools ## do the rules' tests notice mistakes? Each rule is mistaken on purpose, in each way
	@$(BIN)/python -m rules.mutate

benchmark: tools ## speed and memory, as ratios
	@PYTHONPATH=$(CURDIR):$(CURDIR)/tests $(BIN)/python -m benchmarks
