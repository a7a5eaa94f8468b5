# `make` without a word tells what there is. Everything that a target needs, it installs itself, into .venv.

PYTHON ?= python3
VENV   := .venv
AIRFLOW := .bench/airflow/venv
BIN    := $(CURDIR)/$(VENV)/bin
HOME_OF_DAGSTER := $(or $(DAGSTER_HOME),$(CURDIR)/.dagster)
DEMO   := $(CURDIR)/.demo
PORT   ?= 3000
SAMPLE_PORT ?= 19571
GALLERY_PORT ?= 3001

# `dagster dev`, and not its successor `dg dev`: that would bring 28 more packages that a user must trust.

# The demo's own Dagster home, storage and days: the UI shows a full bar, and not fourteen days of 25,000.
DEMO_ENV := DAGSTER_HOME=$(DEMO)/dagster ROCKET_ASSETS_STORAGE=$(DEMO)/data ROCKET_ASSETS_GALLERY_URL= \
	ROCKET_ASSETS_START_DATE=2024-12-01 ROCKET_ASSETS_END_DATE=2024-12-14 ROCKET_ASSETS_POLL_SECONDS=15
SAMPLE_LIBRARY = $(BIN)/rocket-assets sample-library --port $(SAMPLE_PORT)
DEMO_DAYS = $(BIN)/rocket-assets backfill 2024-12-01 2024-12-14
OR_ADVICE = || { echo "In the demo, what is said above is done by: make $@, or make $@ SAMPLE_PORT=…"; exit 1; }
GALLERY := $(BIN)/rocket-assets gallery
DAGSTER_DEV := $(BIN)/dagster dev -w $(CURDIR)/workspace.yaml -p $(PORT)
# In several processes. A file stays in one of them, so that what its tests share is made once. The order of the files, and
# how many processes there are, is said in rocket_assets_tests/conftest.py.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
FREE = $(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $($(1))))' 2>/dev/null \
	|| { echo "Port $($(1)) cannot be listened on. Choose another: make $@ $(1)=…"; exit 1; }

.PHONY: help demo gallery test test-all bench bench-gallery bench-airflow dev dev-demo screenshots check fix install \
	clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      two weeks of launches and pictures through Dagster, without a network"
	@echo "make gallery   the pictures as a page: opens it, or says where it is; that of the demo until you have your own"
	@echo "make test      the tests that take no long time"
	@echo "make test-all  these and the long ones"
	@echo "make dev       the Dagster UI on the real Launch Library, which it follows by itself"
	@echo "make dev-demo  the Dagster UI on the sample library, in which a launch slips and flies while one looks on"
	@echo "make screenshots  the pictures of the README, by the browser tests"
	@echo "make check     lint, format and types"
	@echo "make fix       mend what lint and format can mend"
	@echo "make bench     what a backfill takes, beside what one would use instead; writes benchmarks/RESULTS.md in hours"
	@echo "make bench-gallery  what the gallery of the whole history takes; writes benchmarks/gallery.md"
	@echo "make bench-airflow  what the classic pipeline on Airflow takes, which this installs in a folder of its own"
	@echo "make clean     remove what these targets made, but not the archive (data/) and its records (.dagster/)"

demo: $(VENV)/installed
	@$(DEMO_ENV) $(SAMPLE_LIBRARY) -- $(DEMO_DAYS) $(OR_ADVICE)
	@echo "To look at it in the Dagster UI: make dev-demo, then http://127.0.0.1:$(PORT)/assets/launch_images"

# Whose it is goes by the settings, which may name another storage than data. Those of the demo win over a .env.
gallery: $(VENV)/installed
	@if $(GALLERY) --print >/dev/null 2>&1 || [ ! -e $(DEMO)/data/gallery/index.html ]; then \
		exec $(GALLERY); \
	fi; \
	echo "The gallery of the demo; there is none of your own yet:"; \
	exec env $(DEMO_ENV) $(GALLERY)

test: $(VENV)/installed-dev $(VENV)/installed-axe
	$(PYTEST)

# In one go: the tests that wait for a daemon leave their core to the others.
test-all: $(VENV)/installed-dev $(VENV)/installed-axe $(VENV)/installed-azurite
	$(PYTEST) -m ""

# A part of it, and written elsewhere: make bench BENCH="--case 365 --contender ours,script --repeat 3 --out FOLDER".
bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks $(BENCH)

bench-gallery: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.gallery

# Beside ours, so that both have the same minutes of the machine. BENCH says otherwise here, too.
bench-airflow: $(VENV)/installed-bench $(AIRFLOW)/installed
	$(BIN)/python -m benchmarks --case 1,14,30,365 --contender ours,airflow $(BENCH)

screenshots: $(VENV)/installed-dev $(VENV)/installed-axe
	ROCKET_ASSETS_BROWSER=required ROCKET_ASSETS_SCREENSHOTS=$(CURDIR)/docs \
		$(BIN)/python -m pytest -m "" rocket_assets_tests/browser

# `exec`, so that who ends make ends it all, and not the shell alone.
dev: $(VENV)/installed
	@$(call FREE,PORT)
	@$(call FREE,GALLERY_PORT)
	@$(BIN)/rocket-assets settings
	exec env DAGSTER_HOME="$(HOME_OF_DAGSTER)" $(GALLERY) --port $(GALLERY_PORT) -- $(DAGSTER_DEV)

# The story begins anew each time: the sensors forget how the last one ended, and the days are brought as they now stand.
# `dagster dev` lets a line of .env win over the environment. In .demo is no .env, and the demo keeps to itself.
dev-demo: $(VENV)/installed
	@$(call FREE,PORT)
	@$(call FREE,SAMPLE_PORT)
	@$(call FREE,GALLERY_PORT)
	@$(DEMO_ENV) $(BIN)/rocket-assets settings >/dev/null
	@rm -rf $(DEMO)/dagster/schedules
	@echo "The story begins now and takes five minutes: a launch is announced for 10 December 2024, slips to the 11th and"
	@echo "the 12th, and flies: Long March 2D/YZ-3 | High Speed Laser Diamond Constellation Test System"
	@echo "To look on: http://127.0.0.1:$(PORT)/automation and http://127.0.0.1:$(PORT)/assets/launches"
	@exec env $(DEMO_ENV) $(GALLERY) --port $(GALLERY_PORT) -- \
		$(SAMPLE_LIBRARY) --story -- sh -c '$(DEMO_DAYS) $(OR_ADVICE); cd $(DEMO); exec $(DAGSTER_DEV)'

check: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright

fix: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

install: $(VENV)/installed-dev $(VENV)/installed-axe

clean:
	rm -rf $(VENV) .demo .bench .pytest_cache .ruff_cache .hypothesis *.egg-info build

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed. Name one: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	@touch $@ $(VENV)/installed-dev $(VENV)/installed

# What the tests in a browser look for barriers with. Without npm or its registry they say what is missing, and skip.
$(VENV)/installed-axe: rocket_assets_tests/browser/package.json | $(VENV)/bin/python
	@cp $< $(VENV)/package.json
	@echo "axe-core is being installed by npm"
	@if npm install --prefix $(VENV) --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error; then touch $@; \
		else echo "axe-core was not installed by npm; make goes on without it."; fi

# Microsoft's emulator of its buckets. It is large, and only slow tests need it.
$(VENV)/installed-azurite: rocket_assets_tests/azurite.json | $(VENV)/bin/python
	@mkdir -p $(VENV)/azurite && cp $< $(VENV)/azurite/package.json
	@echo "Azurite is being installed by npm"
	@if npm install --prefix $(VENV)/azurite --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error; then \
		touch $@; else echo "Azurite was not installed by npm; make goes on without it."; fi

# In a virtual environment of its own, for what it needs and what we need do not go together.
$(AIRFLOW)/installed: benchmarks/airflow/requirements.txt | $(VENV)/bin/python
	rm -rf $(AIRFLOW)
	$(PYTHON) -m venv $(AIRFLOW)
	$(AIRFLOW)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
