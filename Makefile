# Everything runs in .venv, made from the Python at hand: a fresh machine needs Python 3.11, pip and make.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m

.PHONY: setup demo test test-deep mutate bench docs lint types lock clean

setup: .venv/ready

.venv/ready: pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv .venv
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync --quiet --require-hashes requirements/dev.txt requirements/uv.txt
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/python -m docs.examples.orders

lint: setup
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy
	$(BIN)/pyright

test: lint types
	$(BIN)/pytest -m "not deep"

test-deep: setup
	HYPOTHESIS_PROFILE=deep $(BIN)/pytest -m "deep or not deep"
	$(MAKE) mutate

# Faults planted in the engine and in the SQLite backend: each must be noticed, by a test or by mypy,
# or be explained in tests/mutants.md. A room has its own tests, those of the other would make each
# survivor wait for them; what takes a second or more is left out.
SLOW := tests/interpreters/sqlite/test_backend.py::test_
mutate: setup
	$(BIN)/uv pip install --quiet --require-hashes -r requirements/mutate.txt
	rm -rf mutants
	PYTEST_ADDOPTS="--deselect=tests/interpreters" $(BIN)/mutmut run "arvo.engine.*"
	$(BIN)/python -m tests.mutants src/arvo/engine
	rm -rf mutants
	PYTEST_ADDOPTS="--deselect=tests/engine --deselect=tests/handlers \
	--deselect=$(SLOW)events_of_one_key_are_one_workers_at_a_time \
	--deselect=$(SLOW)a_worker_that_was_taken_for_dead_and_is_not_leaves_nothing_behind \
	--deselect=$(SLOW)a_handler_that_blocks_keeps_its_lease" $(BIN)/mutmut run "arvo.interpreters.*"
	$(BIN)/python -m tests.mutants src/arvo/interpreters

# The libraries we compare with come only here.
bench: setup
	$(BIN)/uv pip install --quiet --require-hashes -r requirements/bench.txt
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/sphinx-build --fail-on-warning --quiet docs docs/_build

# Pins for every platform, with hashes and without the name of any package host.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group bench pyproject.toml -o requirements/bench.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group mutate pyproject.toml -o requirements/mutate.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header - -o requirements/uv.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache docs/_build mutants
