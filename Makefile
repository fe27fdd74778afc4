# make demo: the whole path on the embedded network.  make test: all checks.  Both set up what they need.
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
WORKERS ?= 2

.PHONY: demo test test-all lint docs clean

demo: $(INSTALLED)
	$(BIN)/hwflow demo --output demo --force

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: lint
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(INSTALLED_DEV): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@

docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

clean:
	rm -rf $(VENV) demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
