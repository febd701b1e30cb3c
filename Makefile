# Every target sets .venv up by itself on a fresh machine with Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types report bench
.DEFAULT_GOAL := demo

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# The kernels in C are built by the installation.
$(VENV)/.installed: requirements.txt pyproject.toml setup.py \
  $(wildcard src/normlab/norms/kernels/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -r requirements.txt
	$(INSTALL) --no-deps -e .
	@touch $@

# GroupNorm, then BatchNorm with one sample per statistic, on real handwritten digits.
demo: $(VENV)/.installed
	$(BIN)/python train.py norm=groupnorm hydra.run.dir=runs/demo/groupnorm
	$(BIN)/python train.py norm=batchnorm norm.ghost_batch=1 'evaluations=[statistics]' \
	  hydra.run.dir=runs/demo/batchnorm
	$(BIN)/python scripts/demo.py runs/demo/groupnorm runs/demo/batchnorm

# Compiled first, as the tests start hundreds of processes, and Python may be told to write none.
test: $(VENV)/.installed
	$(BIN)/python -m compileall -q src experiments
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

# Verdicts and report from the records in results/.
report: $(VENV)/.installed
	$(BIN)/normlab verdict
	$(BIN)/normlab report

bench: $(VENV)/.installed
	for name in startup train-loop data-path norms sweep; do \
	  $(BIN)/normlab bench $$name --quick --no-save || exit 1; \
	done
