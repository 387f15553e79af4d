# The same commands for people and for CI. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ORACLES := .venv-oracles
CLIENTS := .venv-clients
REMOTES := .venv-remotes
TORCH := .venv-torch
ORIGINS := .venv-origins
TRACKING := .venv-tracking
SACRED := .venv-sacred
# Which PyTorch, and from where: an index of builds without graphics cards saves 6 GB where PyPI has others. Its own is
# make torch TORCH_FROM="--index-url https://download.pytorch.org/whl/cpu"
TORCH_VERSION ?= 2.13.0
TORCH_FROM ?=
export UV_COMPILE_BYTECODE := 1

.PHONY: help setup demo test test-all oracles clients remotes torch origins tracking sacred check bench clean

help:
	@echo "make demo   two years of real data through the whole loop, in a few minutes; writes build/demo/report.html"
	@echo "make setup  a virtual environment in .venv for development, from requirements/dev.lock"
	@echo "make test   all checks and tests"
	@echo "make test-all  these, and what other libraries and clients say; makes .venv-oracles, 760 MB, .venv-clients, 350 MB, .venv-remotes, 830 MB with a server of Azure, .venv-torch, 2.1 GB, .venv-origins, 1.3 GB, .venv-tracking, 20 MB, and .venv-sacred, 1 GB"
	@echo "make check  style, types, import order"
	@echo "make bench  what we claim about speed, side by side with peers"

$(BIN)/uv: requirements/uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.lock
	touch $@

# What Kairos needs to run; development needs more, and includes it.
$(VENV)/.run: requirements/run.lock pyproject.toml | $(BIN)/uv
	test -e $(VENV)/.dev || $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/run.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

setup: $(VENV)/.dev

demo: $(VENV)/.run
	rm -rf build/demo
	$(BIN)/kairos demo build/demo --json build/demo.json

check: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check

test: check
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/test

# Other people's implementations, for a second opinion; apart from ours, as some need other versions of the same.
$(ORACLES)/.done: requirements/oracles.lock | $(BIN)/uv
	test -x $(ORACLES)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(ORACLES)
	$(BIN)/uv pip sync --quiet --python $(ORACLES)/bin/python --require-hashes requirements/oracles.lock
	touch $@

oracles: $(ORACLES)/.done

# Other people's clients, which talk to our server.
$(CLIENTS)/.done: requirements/clients.lock | $(BIN)/uv
	test -x $(CLIENTS)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(CLIENTS)
	$(BIN)/uv pip sync --quiet --python $(CLIENTS)/bin/python --require-hashes requirements/clients.lock
	touch $@

clients: $(CLIENTS)/.done

# Engines of remotes, and servers to try them with; apart from ours, as these servers need older versions of the same.
$(REMOTES)/.done: requirements/remotes.lock requirements/azurite/package-lock.json | $(BIN)/uv
	test -x $(REMOTES)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(REMOTES)
	$(BIN)/uv pip sync --quiet --python $(REMOTES)/bin/python --require-hashes requirements/remotes.lock
	mkdir -p $(REMOTES)/azurite
	cp requirements/azurite/package.json requirements/azurite/package-lock.json $(REMOTES)/azurite
	if command -v npm >/dev/null; then npm ci --prefix $(REMOTES)/azurite --ignore-scripts --no-audit --no-fund --silent; else echo "no npm, so no server of Azure"; fi
	$(BIN)/uv pip install --quiet --python $(REMOTES)/bin/python --no-deps -e .
	touch $@

remotes: $(REMOTES)/.done

# PyTorch, and what turns its networks into ONNX. pip installs it, as uv would take the build for graphics cards.
$(TORCH)/.done: requirements/run.lock requirements/torch.lock pyproject.toml | $(BIN)/uv
	test -x $(TORCH)/bin/python || $(BIN)/python -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet $(TORCH_FROM) torch==$(TORCH_VERSION)
	$(BIN)/uv pip install --quiet --python $(TORCH)/bin/python --require-hashes -r requirements/run.lock -r requirements/torch.lock
	$(BIN)/uv pip install --quiet --python $(TORCH)/bin/python --no-deps -e .
	touch $@

torch: $(TORCH)/.done

# Databases and tables that sources pull from.
$(ORIGINS)/.done: requirements/run.lock requirements/origins.lock pyproject.toml | $(BIN)/uv
	test -x $(ORIGINS)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(ORIGINS)
	$(BIN)/uv pip install --quiet --python $(ORIGINS)/bin/python --require-hashes -r requirements/run.lock -r requirements/origins.lock
	$(BIN)/uv pip install --quiet --python $(ORIGINS)/bin/python --no-deps -e .
	touch $@

origins: $(ORIGINS)/.done

# What takes an MLflow server to PostgreSQL; the server itself is that of the development environment.
$(TRACKING)/.done: requirements/tracking.lock | $(BIN)/uv
	test -x $(TRACKING)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(TRACKING)
	$(BIN)/uv pip sync --quiet --python $(TRACKING)/bin/python --require-hashes requirements/tracking.lock
	touch $@

tracking: $(TRACKING)/.done

# Sacred, with the release of setuptools that it needs.
$(SACRED)/.done: requirements/run.lock requirements/sacred.lock pyproject.toml | $(BIN)/uv
	test -x $(SACRED)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(SACRED)
	$(BIN)/uv pip install --quiet --python $(SACRED)/bin/python --require-hashes -r requirements/run.lock -r requirements/sacred.lock
	$(BIN)/uv pip install --quiet --python $(SACRED)/bin/python --no-deps -e .
	touch $@

sacred: $(SACRED)/.done

# Not in `make test`: folders named `oracles`, `clients`, `remotes`, `networks`, `origins`, `tracking` and `sacred` (norecursedirs in pyproject.toml).
# Named here, they are collected; remotes, networks, origins and sacred in environments that have their engines.
test-all: test oracles clients remotes torch origins tracking sacred
	$(BIN)/python -m pytest tests/oracles tests/clients tests/environments tests/tracking
	$(REMOTES)/bin/python -m pytest tests/remotes
	$(TORCH)/bin/python -m pytest tests/networks
	$(ORIGINS)/bin/python -m pytest tests/origins
	$(SACRED)/bin/python -m pytest tests/sacred

bench: setup
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) $(ORACLES) $(CLIENTS) $(REMOTES) $(TORCH) $(ORIGINS) $(TRACKING) $(SACRED) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
