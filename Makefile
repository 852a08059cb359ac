# make demo    the whole system on this machine, with simulated streets and a simulated model
# make test    every check and test; what .ci/run calls

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python
# Checks that import the settings need secrets, though never real ones.
CHECK_ENVIRONMENT := ALGO_SECRET_KEY=checks ALGO_FIELD_KEY=checks ALGO_RUN_DIR=var/checks

.DEFAULT_GOAL := help
.PHONY: help demo install rehearsal test lint unit setup-test browser messages openapi dashboards lock sample-model sample-model-eval bench-detection bench-pipeline bench-live bench-wall bench-street bench-gate bench-tracking bench-counting bench-assess bench-history

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.venv/bin/pip:
	@command -v $(PYTHON) >/dev/null || { echo "Python is missing: install python3 (3.11 to 3.13)."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$$($(PYTHON) --version) will not do: use Python 3.11 to 3.13, for example make demo PYTHON=python3.12."; exit 1; }
	@test $$(df -Pk . | awk 'NR==2 {print $$4}') -gt 2000000 || { echo "The disk is nearly full: make room for 2 GB."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python cannot make a virtual environment: install python3-venv."; exit 1; }

.venv/base.stamp: requirements/base.txt | .venv/bin/pip
	@echo "Installing the service into .venv (once, one to two minutes) ..."
	@$(BIN)/pip install --disable-pip-version-check --no-warn-script-location -q --progress-bar on -r requirements/base.txt
	@$(RUN) -c 'import cv2' || { echo "OpenCV misses a library of the system: apt-get install libgl1 libglib2.0-0"; exit 1; }
	@touch $@

.venv/test.stamp: requirements/dev.txt requirements/detection.txt requirements/tracing.txt requirements/export.txt .venv/base.stamp
	@echo "Installing what the tests need (once; torch is large) ..."
	@$(BIN)/pip install --disable-pip-version-check -q --progress-bar on -r requirements/dev.txt -r requirements/detection.txt -r requirements/tracing.txt -r requirements/export.txt
	@touch $@

# What the key pool is compared with; never a part of the product's environment.
var/litellm/stamp: tests/load/litellm/requirements.txt | .venv/bin/pip
	@echo "Installing LiteLLM into var/litellm (once, for the comparison) ..."
	@$(PYTHON) -m venv var/litellm
	@var/litellm/bin/pip install --disable-pip-version-check -q --progress-bar on -r tests/load/litellm/requirements.txt
	@touch $@

demo: .venv/base.stamp ## run everything on this machine: http://127.0.0.1:5000
	@ALGO_DEMO=1 exec $(RUN) manage.py demo

install: .venv/base.stamp ## install the service into .venv

test: setup-test lint unit ## run every check and test

setup-test: .venv/test.stamp
	@$(RUN) tests/install_tools.py

lint: .venv/test.stamp ## format, lint, types, layers, Django's checks, migrations, the API's document
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(CHECK_ENVIRONMENT) $(BIN)/mypy .
	$(BIN)/lint-imports --no-logo
	$(BIN)/djlint --check --lint trafficmon cameras assessment workers
	$(CHECK_ENVIRONMENT) $(RUN) manage.py check --fail-level WARNING
	$(CHECK_ENVIRONMENT) $(RUN) manage.py makemigrations --check --dry-run
	$(CHECK_ENVIRONMENT) $(RUN) manage.py openapi --check

unit: .venv/test.stamp
	$(RUN) -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder $(ARGS)

messages: .venv/test.stamp ## bring the catalogues of translations up to the code, and compile them
	@$(CHECK_ENVIRONMENT) $(RUN) -m tests.catalogue

openapi: .venv/base.stamp ## write docs/openapi.json anew
	@$(CHECK_ENVIRONMENT) $(RUN) manage.py openapi

rehearsal: .venv/test.stamp ## the distributed layout on this machine; then from a fresh clone to a running fleet, timed
	@$(RUN) tests/install_tools.py
	@REHEARSAL=1 $(RUN) -m pytest -s tests/integration/test_distributed.py
	@$(RUN) -m tests.deployment.rehearse

dashboards: ## write Grafana's dashboards anew
	@$(PYTHON) config/grafana/build_dashboards.py

lock: .venv/test.stamp ## lock the requirements anew
	$(BIN)/pip install -q uv
	for set in requirements/base requirements/dev requirements/detection requirements/tracing requirements/export tests/load/litellm/requirements; do \
	  $(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate $$set.in -o $$set.txt || exit 1; \
	done

sample-model: .venv/test.stamp ## train the demo's small detector (resumable, about an hour on two cores)
	$(RUN) -m detection.sample.train $(ARGS)

sample-model-eval: .venv/test.stamp ## measure it on streets it has not seen
	$(RUN) -m detection.sample.evaluate $(ARGS)

bench-detection: .venv/test.stamp ## recall on a real clip: ARGS="--clip PATH --weights PATH --reference PATH"
	$(RUN) -m detection.benchmark $(ARGS)

bench-pipeline: .venv/test.stamp ## 50 cameras through the whole pipeline: ARGS="--cameras 50 --seconds 120 --weights PATH"
	@$(RUN) tests/install_tools.py
	$(RUN) -m tests.load.bench_pipeline $(ARGS)

bench-assess: .venv/test.stamp $(if $(findstring --no-litellm,$(ARGS)),,var/litellm/stamp) ## the key pool, and LiteLLM, against a provider that refuses: ARGS="--accounts 10 --rps 10 --seconds 120"
	$(RUN) -m tests.load.bench_assess $(ARGS)

bench-street: .venv/base.stamp ## what is found of the synthetic street, against its ground truth
	$(RUN) -m tests.load.bench_street $(ARGS)

bench-live: .venv/test.stamp ## the live feed: how late, at what cost: ARGS="--clients 20 --cameras 50 --seconds 60"
	$(RUN) -m tests.load.bench_live $(ARGS)

bench-wall: .venv/test.stamp ## a wall in a real browser: its main thread and its heap: ARGS="--cameras 50 --seconds 300"
	@$(RUN) tests/install_tools.py
	$(RUN) -m tests.load.bench_wall $(ARGS)

bench-gate: .venv/base.stamp ## what the gate lets through, and what it misses, by threshold
	$(RUN) -m tests.load.bench_gate $(ARGS)

bench-tracking: .venv/test.stamp ## how well identities hold and how right speeds are, at which rate
	$(RUN) -m tests.load.bench_tracking $(ARGS)

bench-counting: .venv/base.stamp ## how many who cross a line are counted, by frames a second
	$(RUN) -m tests.load.bench_counting $(ARGS)

bench-history: .venv/test.stamp ## every list and chart with a million alerts and ten million assessments: ARGS="--keep"
	$(RUN) -m tests.load.seed_history $(ARGS)
