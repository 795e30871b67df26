PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test heavy fast lint format types check notebook help-texts docs peers clean
.DEFAULT_GOAL := help

help: ## List what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Carspotter needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: .venv/installed ## Train a new run on drawn cars, test it with TTA, print the scores (two minutes on two cores)
	$(BIN)/python train.py fit --config configs/demo.yaml
	$(BIN)/python train.py test --config configs/demo.yaml --ckpt_path best

test: .venv/installed ## Run all tests but the heavy ones
	$(BIN)/python -m pytest -n auto --maxprocesses 8

heavy: .venv/installed ## Run the tests that start servers and several machines (object storage, SLURM, PostgreSQL, torchrun)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 -m heavy

lint: .venv/installed ## Check style and format with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/installed ## Format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/installed ## Check the types with mypy
	$(BIN)/mypy .

check: lint types test ## Everything that continuous integration checks

fast: lint types ## Lint, types and the fast tests, in under three minutes
	$(BIN)/python -m pytest -n auto --maxprocesses 8 -m "not slow"

notebook: .venv/installed ## Execute main.ipynb from top to bottom, in place
	$(BIN)/jupyter-execute --inplace main.ipynb

help-texts: .venv/installed ## Store what --help prints, after an option has changed
	$(BIN)/python -m command_line.help.stored_help

docs: .venv/installed ## Build the documentation into site/, to be read offline
	$(BIN)/mkdocs build --strict --quiet

peers: ## Install what the benchmarks compare with, beside the environment (.venv-peers)
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet -r benchmarks/peers.txt

clean: ## Remove all runs, the drawn cars and caches (not the environment)
	rm -rf logs data/toy_cars .pytest_cache .ruff_cache .mypy_cache
