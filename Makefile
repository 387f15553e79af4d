# The same commands for people and for CI. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_COMPILE_BYTECODE := 1

.PHONY: help setup test check clean

help:
	@echo "make setup  a virtual environment in .venv, from requirements/dev.lock"
	@echo "make test   all checks and tests"
	@echo "make check  style, types, import order"

$(VENV)/.dev: requirements/dev.lock requirements/uv.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

setup: $(VENV)/.dev

check: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check

test: check
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
