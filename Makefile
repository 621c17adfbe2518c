# Two commands: `make demo` and `make test`. Both set up .venv first, and both can be repeated.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT := out/darcy
DEMO := examples/darcy
JOBS ?= 2

# One BLAS thread per process; the work is shared by processes.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: help venv compiler demo test test-slow docs lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       install, then invert the shipped Darcy observations ($(OUT))"
	@echo "make test       install, then run the fast tests"
	@echo "make test-slow  install, then run the long tests"
	@echo "make docs       install, then run every example of README.md and docs/"
	@echo "make lint       install, then check style, types and layers"
	@echo "make venv       install into $(VENV)"
	@echo "make clean      remove $(VENV), out and build folders"

venv: $(STAMP)

# A Python >= 3.12 that can make virtual environments: on PATH, else one of pyenv's.
define FIND_PYTHON
for candidate in python3 python3.12 python3.13 python3.14 \
    $$HOME/.pyenv/versions/3.1*/bin/python /usr/local/bin/python3.1*; do \
  "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' \
    >/dev/null 2>&1 && { command -v "$$candidate"; break; }; \
done
endef

$(STAMP): pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/python ]; then \
	  python=$$($(FIND_PYTHON)); \
	  if [ -z "$$python" ]; then \
	    echo "error: no Python >= 3.12 with venv found on PATH or in ~/.pyenv/versions;" \
	      "install one (for example 'pyenv install 3.12') and repeat" >&2; exit 1; \
	  fi; \
	  echo "using $$python ($$("$$python" -V 2>&1))"; \
	  rm -rf $(VENV) && "$$python" -m venv $(VENV); \
	fi
	@echo "installing into $(VENV) (about 7 GB; some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
	  -c constraints.txt -e '.[all,dev]'
	@touch $@

compiler:
	@command -v "$${CC:-cc}" >/dev/null || { \
	  echo "error: no C compiler ('$${CC:-cc}'); the equations are compiled when first used:" \
	    "apt install gcc libc6-dev, or set CC" >&2; exit 1; }

demo: $(STAMP) compiler
	@mkdir -p $(OUT)
	$(BIN)/pdeinv invert $(DEMO)/obs.nc --config $(DEMO)/run.toml \
	  --out $(OUT)/posterior.nc --overwrite
	$(BIN)/pdeinv plot $(OUT)/posterior.nc $(addprefix --truth ,$(wildcard $(DEMO)/truth.nc)) \
	  --out $(OUT)/posterior.png --overwrite

test: $(STAMP) compiler
	@$(BIN)/python -m pytest -q -n $(JOBS)

test-slow: $(STAMP) compiler
	@$(BIN)/python -m pytest -q -n $(JOBS) -m slow

docs: $(STAMP) compiler
	@$(BIN)/python -m pytest -q tests/docs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_imports.py

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
