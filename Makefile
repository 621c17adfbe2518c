# Two commands: `make demo` and `make test`. Both set up .venv first, and both can be repeated.
# The demo installs the solver alone (0.9 GB); what needs torch or the tools adds the rest (6 GB).

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SOLVER := $(VENV)/.installed-fem
EVERYTHING := $(VENV)/.installed-all
OUT := out/darcy
DEMO := examples/darcy
# for example --set engine.draws=40
DEMO_OPTIONS ?=
JOBS ?= 2

# One BLAS thread per process; the work is shared by processes.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: help venv compiler demo test test-slow docs lint bench bench-long clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       install the solver, then invert the shipped Darcy observations ($(OUT))"
	@echo "make test       install everything, then run the fast tests"
	@echo "make test-slow  install everything, then run the long tests"
	@echo "make docs       install everything, then run every example of README.md and docs/"
	@echo "make bench      measure solves, batches and growth; BEFORE=../checkout compares (20 minutes)"
	@echo "make bench-long measure samplers, peers, workers and larger sizes as well (2 hours)"
	@echo "make lint       install everything, then check style, types and layers"
	@echo "make venv       install everything into $(VENV)"
	@echo "make clean      remove $(VENV), out and build folders"

venv: $(EVERYTHING)

# A Python >= 3.12 that can make virtual environments: on PATH, else one of pyenv's.
define FIND_PYTHON
for candidate in python3 python3.12 python3.13 python3.14 \
    $$HOME/.pyenv/versions/3.1*/bin/python /usr/local/bin/python3.1*; do \
  "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' \
    >/dev/null 2>&1 && { command -v "$$candidate"; break; }; \
done
endef

$(BIN)/python:
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
	  echo "error: no Python >= 3.12 with venv found on PATH or in ~/.pyenv/versions;" \
	    "install one (for example 'pyenv install 3.12') and repeat" >&2; exit 1; \
	fi; \
	echo "using $$python ($$("$$python" -V 2>&1))"; \
	rm -rf $(VENV) && "$$python" -m venv $(VENV)

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt

$(SOLVER): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the solver into $(VENV) (0.9 GB; some minutes the first time)"
	@$(PIP) -e '.[fem]'
	@touch $@

$(EVERYTHING): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing everything into $(VENV) (about 7 GB; some minutes the first time)"
	@$(PIP) -e '.[all,dev]'
	@touch $(SOLVER) $@

compiler:
	@command -v "$${CC:-cc}" >/dev/null || { \
	  echo "error: no C compiler ('$${CC:-cc}'); the equations are compiled when first used:" \
	    "apt install gcc libc6-dev, or set CC" >&2; exit 1; }

demo: $(SOLVER) compiler
	@mkdir -p $(OUT)
	$(BIN)/pdeinv invert $(DEMO)/obs.nc --config $(DEMO)/run.toml \
	  --out $(OUT)/posterior.nc --overwrite $(DEMO_OPTIONS)
	$(BIN)/pdeinv plot $(OUT)/posterior.nc $(addprefix --truth ,$(wildcard $(DEMO)/truth.nc)) \
	  --out $(OUT)/posterior.png --overwrite

test: $(EVERYTHING) compiler
	@$(BIN)/python -m pytest -q -n $(JOBS)

test-slow: $(EVERYTHING) compiler
	@$(BIN)/python -m pytest -q -n $(JOBS) -m slow

docs: $(EVERYTHING) compiler
	@$(BIN)/python -m pytest -q -n $(JOBS) -m "slow or not slow" tests/docs

lint: $(EVERYTHING)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_imports.py

BENCH := OMP_NUM_THREADS=1 $(BIN)/python benchmarks

bench: $(EVERYTHING) compiler
	$(BENCH)/speed.py $(addprefix --before ,$(BEFORE))
	$(BENCH)/growth.py

bench-long: bench
	$(BENCH)/kernels.py
	$(BENCH)/growth.py --long
	$(BENCH)/samplers.py
	$(BENCH)/workers.py
	$(if $(BEFORE),$(BENCH)/same_posterior.py --before $(BEFORE))

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
