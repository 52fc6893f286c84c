# Two commands matter: `make reproduce` and `make test`. `make help` lists the rest.

PYTHON  ?= python3
PROFILE ?= quick
BRANCH  ?= main

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

# A test process for each core, with one thread each; a file of tests, or a notebook, stays in one process.
PARALLEL := --numprocesses auto --dist loadfile

# Otherwise an old kernel named `python3` in the user's home folder is preferred to the one of this environment.
export JUPYTER_PREFER_ENV_PATH := 1

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test refresh measure lint format lab apps site site-test buttons clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install everything into it (PYTHON=python3.12 picks another Python)
	@echo "Everything is installed in $(VENV)."

reproduce: $(STAMP) ## run every notebook, in order (PROFILE=quick, or PROFILE=full for the paper's scale)
	@$(BIN)/mzsr reproduce --profile $(PROFILE)

test: lint ## lint, run the tests and name the slowest, then compare every notebook with its stored outputs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL) --durations=20
	OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(BIN)/python -m pytest $(PARALLEL) --nbval --nbval-current-env \
		--nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 300 notebooks/

refresh: $(STAMP) ## run the notebooks in place: the only way their stored outputs are made
	@$(BIN)/python -c "import sys; from mzsr_lib.cli.main import guarded; from mzsr_lib.lessons import reproduce; sys.exit(guarded(reproduce.refresh))"

measure: $(STAMP) ## measure what results/rows.csv lacks of the paper's tables (Set5, BSD100 in MZSR_DATA; hours)
	$(BIN)/mzsr tables --output results
	@$(BIN)/python -c "from mzsr_lib.benchmark import report; report.refresh('.')"

lint: $(STAMP) ## look for mistakes, format, imports against the order of the rooms, types, and wrong examples
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/python -m pytest --quiet mzsr_lib

format: $(STAMP) ## format the code and mend what can be mended by rule
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

# The root is the project, not notebooks/: the pages show pictures of figures/ and link to results/ and mzsr_lib/.
# .jupyterlab/overrides.json keeps JupyterLab from asking whether it may fetch news; what the user has set goes before it.
# The pages are served by a class that keeps one that is only read from counting as changed.
LAB := --ServerApp.root_dir=. --ServerApp.contents_manager_class=mzsr_lib.lessons.contents.Contents
LAB += --LabApp.app_settings_dir=.jupyterlab
lab: $(STAMP) ## open the notebooks in JupyterLab, at the first page
	$(BIN)/python -m jupyterlab $(LAB) notebooks/00_start_here.ipynb

apps: $(STAMP) ## open the explorers alone, as pages in the browser (installs voila)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[apps]'
	$(BIN)/voila apps

site: $(STAMP) ## make the site of all pages in build/site (REPOSITORY=owner/name BRANCH=main for its links)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[site]'
	MZSR_REPOSITORY=$(REPOSITORY) MZSR_BRANCH=$(BRANCH) $(BIN)/python docs/make_site.py build/site
	@echo "Read it with: $(BIN)/python -m http.server --directory build/site"

site-test: site ## make the site and look at every page of it in Chromium
	$(BIN)/python -m pytest --durations=5 docs/tests

buttons: $(STAMP) ## write the Colab and Binder buttons into the notebooks (REPOSITORY=owner/name BRANCH=main)
	@$(BIN)/python -c "import sys; from mzsr_lib.cli.main import guarded; from mzsr_lib.lessons import navigation, reproduce; \
		paths = reproduce.notebooks('notebooks'); \
		sys.exit(guarded(lambda: navigation.add_buttons(paths, '$(REPOSITORY)', '$(BRANCH)')))"

clean: ## remove what can be made again: the environment, the runs, the caches
	rm -rf $(VENV) runs results/quick results/full build *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so an installation that was interrupted is taken up again by the next call.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not: give one with 'make $(MAKECMDGOALS) PYTHON=python3.11'."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make a virtual environment: install its venv package (Debian, Ubuntu: apt install python3-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[lessons,mat73,test]'
	@touch $@
