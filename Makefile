# What can be done here: make demo | run | rehearsal | test | test-multi | test-browser | bench | bench-api | bench-batches | bench-retrieval | bench-tools | prove | lint | clean
# PORT= and TENEX_DATA_DIR= move a system, so that two run beside each other; PYTHON= names the Python to build on.

PORT ?= 8000
TENEX_DATA_DIR ?= var
export PORT TENEX_DATA_DIR DEMO_EXIT DEMO_SPEED FULL NO_COLOR

PY := .venv/bin/python
# Checks read settings but use no database of yours: engines of their own, gone when they end.
TEST_ENV := env -u DATABASE_URL -u REDIS_URL -u TENEX_ENGINES -u DJANGO_SETTINGS_MODULE DEBUG=1

.DEFAULT_GOAL := help
.PHONY: help demo run rehearsal test test-multi test-browser test-ears bench bench-api bench-batches bench-retrieval bench-tools prove lint format lock setup setup-dev offline-voice clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

setup:
	@PYTHON="$(PYTHON)" sh scripts/setup.sh run

setup-dev:
	@PYTHON="$(PYTHON)" sh scripts/setup.sh dev

offline-voice: setup ## optional: recognition for the rehearsal (`rehearse serve --ears whisper`), about 400 MB
	@PYTHON="$(PYTHON)" sh scripts/setup.sh offline-voice

demo: setup ## start a system of its own, place five calls through it, show what came out (DEMO_EXIT=1: then end; DEMO_SPEED=3: faster than life)
	@$(PY) manage.py demo

run: setup ## start the system: web, media, worker, scheduler in this terminal, Ctrl-C ends it
	@$(PY) manage.py up

rehearsal: setup ## the same with an offline carrier and model beside it: calls without an account, and without a phone
	@$(PY) manage.py up --rehearsal

test: setup-dev ## all tests in three processes, each with embedded engines of its own
	@$(TEST_ENV) $(PY) -m pytest -n 3 --dist load --ignore tests/browser $(ARGS)

test-multi: setup-dev ## the flow tests again: two media and two worker processes, TCP engines, a real S3 server
	@$(TEST_ENV) TENEX_FLOWS=multi $(PY) -m pytest tests/flows $(ARGS)

test-browser: setup-dev ## every page in Debian's Chromium against live rehearsal calls (SHOTS=folder: pictures of them)
	@$(TEST_ENV) $(PY) -m pytest -n 3 --dist load tests/browser $(ARGS)

test-ears: setup-dev offline-voice ## real recognition: calls with ears on, noise, several at once
	@$(TEST_ENV) $(PY) -m pytest tests/rehearsal/with_ears.py $(ARGS)

bench: setup-dev ## measure the media path against a bare relay
	@$(TEST_ENV) $(PY) -m bench $(ARGS)

bench-api: setup-dev ## measure lists and figures with a million calls
	@$(PY) -m bench.api $(ARGS)

bench-batches: setup-dev ## measure a batch of 50,000 leads: out of a CSV file, its preview, ticks while it waits
	@$(TEST_ENV) $(PY) -m bench.batches $(ARGS)

bench-retrieval: setup-dev ## measure what is found (hit rate, MRR) and how soon among 100,000 passages
	@$(TEST_ENV) $(PY) -m bench.retrieval $(ARGS)

bench-tools: setup-dev ## measure how soon the model has a tool's answer while 25 calls are live
	@$(TEST_ENV) $(PY) -m bench.tools $(ARGS)

prove: setup-dev ## every promise as a command that prints one JSON line (FULL=1: the full counts)
	@$(TEST_ENV) $(PY) -m tests.prove $(ARGS)

lint: setup-dev ## style, types, layers, migrations
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
	@$(TEST_ENV) .venv/bin/mypy .
	@$(TEST_ENV) .venv/bin/lint-imports
	@$(TEST_ENV) $(PY) manage.py makemigrations --check --dry-run

format: setup-dev ## put the code into its one format
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

lock: setup-dev ## make the pinned requirements anew from the .in files
	@$(PY) -m pip install --quiet --require-hashes -r scripts/uv.txt
	@for name in requirements requirements-dev requirements-offline-voice scripts/uv; do \
	  .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.12 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links $$name.in --output-file $$name.txt || exit 1; done

clean: ## remove the environment, caches and collected files (never TENEX_DATA_DIR)
	@rm -rf .venv staticfiles .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
