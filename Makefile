# Every target makes its environment first; nothing has to be installed by hand but Python 3.11 to 3.13.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One thread a process: the tests run side by side, and timings stay comparable.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: install demo test lint bench book parity docs clean

install: $(VENV)/ready

demo: $(VENV)/ready
	$(BIN)/zoo build specs/bilstm.yaml
	$(BIN)/zoo export --onnx

test: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist worksteal

lint: $(VENV)/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/python -m tests.benchmarks

# The whole matrix of ten cells, 60,000 points: an operator's share takes 170 to 400 s of CPU; cells lowered as Scan, which
# are traced for each file, take longer. One process a core.
parity: $(VENV)/ready
	$(ONE_THREAD) $(BIN)/python -m tests.matrix --full --out build/parity.json

book: $(VENV)/ready
	$(BIN)/python -m tests.book

docs: $(VENV)/ready
	$(BIN)/python -m tests.support.api_page
	$(BIN)/python -m tests.book.tutorial

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
