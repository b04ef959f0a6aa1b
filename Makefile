# Targets are sentences: `make help`. Each does the set-up it needs; a second run finds it done.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
MAVEN := mvn --batch-mode --quiet -Dstyle.color=never

VENV := .venv/.stamp
JARS := .livelift/stamps/jars
PROMTOOL := .venv/bin/promtool
FUNCTION := udfs/attribution/target/livelift-attribution.jar
FUNCTION_SOURCES := udfs/attribution/pom.xml $(shell find udfs/attribution/src schemas/avro -type f)

.PHONY: help demo test check up down setup prerequisites browser artifacts lock java rates calibration bench nightly format clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Run the whole pipeline for a minute, show the statistics move, verify every slot; leave nothing running.
	@infra/prerequisites.sh browser || echo "without it the demo keeps no picture of the console"
	@.venv/bin/livelift demo

test: browser setup $(PROMTOOL) ## Run all tests: pure ones, Java ones, and those against the running stack.
	@$(MAKE) -j2 java rates
	@$(PYTEST)

# What takes one processor each.
java:
	@$(MAVEN) -f udfs/attribution/pom.xml test

rates:
	@$(PYTEST) -m calibration

check: setup ## Check format, lint and types, and run the tests that start nothing.
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@$(PYTEST) -q -m 'not processes and not jvm and not clickhouse and not stack and not calibration and not bench'

up: setup ## Start the stack of one machine and its jobs (the same as `livelift up`).
	@.venv/bin/livelift up

down: ## Stop the stack; its data stays (`livelift down --wipe` deletes it).
	@if [ -x .venv/bin/livelift ]; then .venv/bin/livelift down; else echo "nothing was running"; fi

setup: prerequisites ## Make the virtual environment, fetch the pinned jars, compile the Java function.
	@$(MAKE) --silent -j3 artifacts

calibration: setup ## Simulate error rates and coverage for longer than `make test` does.
	@CALIBRATION=full $(PYTEST) -m calibration

bench: setup ## Measure events/s beside what one could run instead, and the statistics' speed; takes an hour.
	@.venv/bin/livelift bench
	@$(PYTHON) -m udfs.stats.bench

nightly: export HYPOTHESIS_PROFILE := exploring
nightly: test calibration ## Run everything, the long versions too, on examples not seen before, and restarts with RocksDB.
	@LIVELIFT_FLINK_STATE_BACKEND=rocksdb $(PYTEST) tests/end_to_end/test_restarts.py

format: setup ## Write the code the way `make check` wants it.
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix .

lock: $(VENV) ## Resolve the Python packages anew and write requirements.lock.
	@.venv/bin/uv pip compile pyproject.toml --all-extras --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --upgrade --quiet --output-file requirements.lock

clean: down ## Delete everything that was built, downloaded or run here.
	@rm -rf .venv .livelift udfs/attribution/target livelift.egg-info

prerequisites:
	@infra/prerequisites.sh

browser:
	@infra/prerequisites.sh browser

artifacts: $(VENV) $(JARS) $(FUNCTION)

# uv comes from the lock like everything else and installs it several times faster than pip; where uv is not set
# up to reach a package index that pip can reach, pip does the same.
$(VENV): requirements.lock pyproject.toml
	@echo "python packages: .venv"
	@[ -x .venv/bin/python ] || python3.11 -m venv .venv
	@awk '/^uv==/ { on = 1 } on && /^ *#/ { exit } on' requirements.lock > .venv/uv.lock
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@.venv/bin/uv pip install --quiet --python $(PYTHON) --require-hashes -r requirements.lock \
		|| .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@.venv/bin/uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# Checks the rules of infra/observability; only the tests need it.
$(PROMTOOL): | $(VENV)
	@infra/promtool.sh $@

$(JARS): infra/local/pom.xml
	@echo "jars: .livelift/jars"
	@rm -rf .livelift/jars
	@$(MAVEN) -f infra/local/pom.xml package
	@mkdir -p $(@D) && touch $@

# After the jars, because two Mavens must not write one local repository at the same time.
$(FUNCTION): $(FUNCTION_SOURCES) | $(JARS)
	@echo "java function: $@"
	@$(MAVEN) -f udfs/attribution/pom.xml -DskipTests package
	@touch $@
