# Everything runs in .venv, made from the Python at hand: a fresh machine needs Python 3.11, pip and make.
PYTHON ?= python3
BIN := .venv/bin

# Tests start many processes, each of which would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo console test test-testing test-backends test-brokers test-laws test-killed test-others test-pages test-docs test-deep mutate bench bench-check docs docs-links pictures release-check api test-pythons lint types lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{printf "  make %-11s %s\n", $$1, $$2}'

setup:  ## make .venv with everything that the other targets need
	@$(PYTHON) requirements/make_venv.py

demo: setup  ## a shop takes 1,000 orders from a file and reports what became of them
	@mkdir -p .arvo && rm -f .arvo/demo.db*
	$(BIN)/python -m docs.examples.orders --database .arvo/demo.db
	@echo "Look at these orders in a browser: make console"

console:  ## the operator's pages over the orders of the demo
	@test -f .arvo/demo.db || { echo "there are no orders yet: run make demo first" >&2; exit 2; }
	$(BIN)/arvo console docs.examples.orders.deployed:system --backend sqlite:///.arvo/demo.db

lint: setup  ## ruff: lint and format; codespell
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/codespell *.md docs src

types: setup  ## mypy (strict) and pyright
	$(BIN)/mypy
	$(BIN)/pyright

# Side by side, as tests with servers mostly wait, and the others compute. make begins the parts in
# this order, so those that kill processes come last, when most of the others have ended.
PARTS := test-testing test-pages test-docs test-backends test-others test-brokers types test-laws test-killed
BROKERS := $(addprefix tests/interpreters/,kafka nats rabbit redis)
KILLED := tests/end_to_end tests/processes
PAGES := tests/cli tests/console
DOCS := tests/docs tests/pages tests/examples tests/telemetry tests/test_release.py
OWN := tests/testing tests/interpreters $(KILLED) $(PAGES) $(DOCS)

test: lint  ## every check of the project: about eighteen minutes on two cores
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=line $(PARTS)

test-testing:
	@$(BIN)/pytest -m "not deep" tests/testing

test-backends:
	@$(BIN)/pytest -m "not deep" tests/interpreters $(BROKERS:%=--ignore=%)

test-brokers:
	@$(BIN)/pytest -m "not deep" $(BROKERS)

test-laws:
	@$(BIN)/pytest -m "not deep" property_tests

test-killed:
	@$(BIN)/pytest -m "not deep" $(KILLED)

test-others:
	@$(BIN)/pytest -m "not deep" tests src $(OWN:%=--ignore=%)

test-pages:
	@$(BIN)/pytest -m "not deep" $(PAGES)

test-docs:
	@$(BIN)/pytest -m "not deep" $(DOCS) docs README.md

test-deep: setup  ## the longer searches and kills, bench-check and mutation testing: hours
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest -m "deep or not deep"
	$(MAKE) bench-check
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
bench: setup  ## measure beside other libraries, and write docs/performance.md
	$(BIN)/uv pip install --quiet --require-hashes -r requirements/bench.txt
	$(BIN)/python -m benchmarks

bench-check: setup  ## compare the steps without I/O with those of the last commit
	$(BIN)/python -m benchmarks.check

docs: setup  ## build the pages as HTML into docs/_build
	$(BIN)/sphinx-build --fail-on-warning --quiet docs docs/_build

docs-links: setup  ## ask for every outside address that a page names; needs a network
	$(BIN)/sphinx-build --builder linkcheck --quiet docs docs/_build/links

pictures: setup  ## take the pictures of the console in docs/console.md; needs a Chromium
	$(BIN)/python -m docs.pictures.console

release-check: setup  ## build the distributions twice in a fresh folder, and check them, into dist/
	rm -rf dist
	$(BIN)/python requirements/release.py dist

test-pythons: setup  ## the tests without servers on each supported Python that is to be had
	$(BIN)/python requirements/test_pythons.py

api: setup  ## write the public API, which a test compares, to tests/data/api.txt
	$(BIN)/python -m docs.site.snapshot tests/data/api.txt

# Pins for every platform, with hashes and without the name of any package host.
lock: setup  ## pin the requirements anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group bench pyproject.toml -o requirements/bench.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group mutate pyproject.toml -o requirements/mutate.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --constraint requirements/dev.txt --extra cli --extra http --extra nats --extra postgres --group image pyproject.toml -o requirements/image.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header - -o requirements/uv.txt

clean:  ## remove .venv, caches and built pages
	rm -rf .venv .venv.lock .mypy_cache .ruff_cache .pytest_cache docs/_build mutants
