# make demo: the whole path on the embedded network.  make test: all checks.  Both set up what they need.
# make test-keras3: all checks with Keras 3, in an environment of its own.
PYTHON ?= python3
VENV ?= .venv
# The versions to install: constraints.txt with Keras 2, which needs Python 3.11, or constraints-keras3.txt.
ifndef CONSTRAINTS
CONSTRAINTS := $(shell $(PYTHON) -c \
	"import sys; print('constraints.txt' if sys.version_info < (3, 12) else 'constraints-keras3.txt')")
endif
KERAS := $(if $(findstring keras3,$(CONSTRAINTS)),keras3,keras2)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(KERAS)
INSTALLED_DEV := $(VENV)/.installed-$(KERAS)-dev
INSTALL := $(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable
WORKERS ?= 2

# make install: the environment alone.
.PHONY: install demo test test-all test-keras3 lint docs clean

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/hwflow demo --output demo --force

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: lint
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

test-keras3:
	$(MAKE) test VENV=.venv-keras3 CONSTRAINTS=constraints-keras3.txt

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@echo "setting up $(VENV): about 2 GB in some minutes, silently"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) ".[$(KERAS)]"
	touch $@

$(INSTALLED_DEV): $(INSTALLED)
	$(INSTALL) ".[$(KERAS),dev]"
	touch $@

docs: $(INSTALLED)
	$(INSTALL) ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

clean:
	rm -rf $(VENV) demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
