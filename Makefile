# Everything runs in .venv, made from the Python at hand: a fresh machine needs Python 3.11, pip and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test test-servers test-others test-deep mutate bench docs lint types lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup:  ## make .venv with everything that the other targets need
	@$(PYTHON) requirements/make_venv.py

demo: setup  ## a shop takes 1,000 orders from a file and reports what became of them
	$(BIN)/python -m docs.examples.orders

lint: setup  ## ruff: lint and format
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .

types: setup  ## mypy (strict) and pyright
	$(BIN)/mypy
	$(BIN)/pyright

# Tests with servers and processes mostly wait, the others compute: side by side they take as long as
# the longer half.
SERVERS := tests/end_to_end tests/interpreters tests/processes

test: lint types  ## every check of the project: about ten minutes on two cores
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line test-servers test-others

test-servers:
	@$(BIN)/pytest -m "not deep" $(SERVERS)

test-others:
	@$(BIN)/pytest -m "not deep" $(SERVERS:%=--ignore=%)

test-deep: setup  ## the longer searches and kills, and mutation testing: hours
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest -m "deep or not deep"
	$(MAKE) mutate

# Faults planted in the engine and in the SQLite backend: each must be noticed, by a test or by mypy,
# or be explained in tests/mutants.md. A room has its own tests, those of the other would make each
# survivor wait for them; what takes a second or more is left out.
SLOW := tests/interpreters/sqlite/test_backend.py::test_
mutate: setup  ## planted faults in the engine and the SQLite backend
	$(BIN)/uv pip install --quiet --require-hashes -r requirements/mutate.txt
	rm -rf mutants
	PYTEST_ADDOPTS="--deselect=tests/interpreters" $(BIN)/mutmut run "arvo.engine.*"
	$(BIN)/python -m tests.mutants src/arvo/engine
	rm -rf mutants
	PYTEST_ADDOPTS="--deselect=tests/engine --deselect=tests/handlers \
	--deselect=$(SLOW)one_worker_at_a_time_has_the_events_of_a_key \
	--deselect=$(SLOW)a_worker_that_was_wrongly_taken_for_dead_leaves_nothing_behind \
	--deselect=$(SLOW)the_lease_is_renewed_while_a_handler_blocks_the_event_loop" $(BIN)/mutmut run "arvo.interpreters.*"
	$(BIN)/python -m tests.mutants src/arvo/interpreters

# The libraries we compare with come only here.
bench: setup  ## measure, beside other libraries
	$(BIN)/uv pip install --quiet --require-hashes -r requirements/bench.txt
	$(BIN)/python -m benchmarks

docs: setup  ## build the pages as HTML into docs/_build
	$(BIN)/sphinx-build --fail-on-warning --quiet docs docs/_build

# Pins for every platform, with hashes and without the name of any package host.
lock: setup  ## pin the requirements anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group bench pyproject.toml -o requirements/bench.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group mutate pyproject.toml -o requirements/mutate.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --constraint requirements/dev.txt --extra cli --extra http --extra nats --extra postgres --group image pyproject.toml -o requirements/image.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header - -o requirements/uv.txt

clean:  ## remove .venv, caches and built pages
	rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache docs/_build mutants
