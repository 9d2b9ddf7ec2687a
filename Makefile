# Every command does the set-up it needs; `make help` lists them.

VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python

# the first Python here that is new enough
PYTHON ?= $(shell for p in python3 python python3.14 python3.13 python3.12 python3.11; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)

INSTALLED := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup book pdf test test-portable execute lab bench experiments mistakes serve lint format clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(PY):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found: set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements.txt tools/constraints.txt pyproject.toml | $(PY)
	$(PY) -m pip install --no-input --quiet -r requirements.txt
	$(PY) -m pip install --no-input --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(INSTALLED)  ## the virtual environment with everything pinned

book: $(INSTALLED)  ## build the book: _build/html/index.html
	$(BIN)/jupyter-book build . -W --keep-going
	@echo "Open $(CURDIR)/_build/html/index.html"

pdf: book  ## the whole book as one file: _build/pdf/why-normal.pdf (needs Chromium)
	$(PY) -m tools.pdf

WORKERS ?= auto
test: $(INSTALLED)  ## every test: package, chapters, book, pages in a browser (WORKERS=1: one core)
	$(PY) -m pytest --numprocesses $(WORKERS) --nbval --nbval-current-env --nbval-cell-timeout=300 $(ARGS)

# kernels that every processor has: what a chapter asserts must not hang on the last digits
PORTABLE := ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE MKL_ENABLE_INSTRUCTIONS=SSE4_2
test-portable: $(INSTALLED)  ## every chapter under the plainest arithmetic, and how close its assertions come to failing
	$(PORTABLE) $(PY) -m pytest --numprocesses $(WORKERS) --nbval --nbval-current-env --nbval-cell-timeout=600 book $(ARGS)
	$(PY) tools/margins.py

execute: $(INSTALLED)  ## run chapters again and store their outputs (CHAPTER=book/04-gaussian-kl.ipynb)
	$(PY) tools/execute.py $(CHAPTER)

lab: $(INSTALLED)  ## open the chapters in JupyterLab
	$(PY) -m pip install --no-input --quiet jupyterlab==4.6.6
	$(BIN)/jupyter trust book/*.ipynb  # or what runs in a page stands still until its cell is run
	$(BIN)/jupyter lab book

bench: $(INSTALLED)  ## time fit against other loops (ARGS="--only loops --install-pythae")
	$(PY) -m benchmarks $(ARGS)

NAME ?= all
SEEDS ?= 5
experiments: $(INSTALLED)  ## record the experiments again (NAME=holes SEEDS=5 ARGS="--jobs 2")
	$(PY) -m vaebook.experiments $(NAME) --seeds $(SEEDS) $(ARGS)

mistakes: $(INSTALLED)  ## plant classic VAE mistakes one at a time; the tests must catch each
	$(PY) -m tests.mistakes $(ARGS)

serve: book  ## build the book and serve it on http://localhost:8000
	$(PY) -m http.server --bind localhost --directory _build/html 8000

lint: $(INSTALLED)  ## style, types, layering, workflows and issue forms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PY) tools/format_chapters.py --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(wildcard .github/workflows/*.yml)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/zizmor --offline --no-progress --quiet .github

format: $(INSTALLED)  ## put the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(PY) tools/format_chapters.py

clean:  ## remove what was built (the environment stays)
	rm -rf _build build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
