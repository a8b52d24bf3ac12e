# Everything starts from Python 3.11+ and make. `make` alone lists the targets.
#
#   PYTHON=/path/to/python3.12   interpreter for the environments (default: one from the PATH that fits)
#   ARGS="-k window -x"          further arguments of pytest, of the demo, of the emulator, its benchmark or the histories
#   WORKERS=4                    processes that run tests

export PYTHON ?=
WORKERS ?= 2
ARGS ?=

CELLS := $(shell ls requirements | sed -n 's/^airflow-\(.*\)\.txt$$/\1/p' | sort -t. -k1,1n -k2,2n -k3,3n)
DEFAULT := $(lastword $(CELLS))
VENV := .venv
PYTEST := -m pytest -n $(WORKERS) --dist worksteal

# $(call bootstrap,ARGUMENTS): any Python that runs may start the script, it then looks for the right one.
define bootstrap
@for python in "$$PYTHON" python3 python3.14 python3.13 python3.12 python3.11 python; do \
	[ -n "$$python" ] && "$$python" -c "" 2>/dev/null && exec "$$python" scripts/bootstrap.py $(1); \
done; echo "No Python found on the PATH. Install Python 3.11 or newer, or name one: make ... PYTHON=/path" >&2; exit 1
endef

.DEFAULT_GOAL := help
.PHONY: help venv demo test chaos coverage-table lint format matrix emulator bench-emulator bench-wait bench-landing bench-hash lock build clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z%.-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | sed 's/%/<version>/' | \
		while IFS='|' read -r target text; do printf '%-32s %s\n' "$$target" "$$text"; done
	@echo "Airflow versions: $(CELLS); the default is $(DEFAULT)"

venv: ## make or update the environment .venv
	$(call bootstrap)

demo: venv ## run the first example DAG against a local AMC and a local S3
	@exec $(VENV)/bin/python scripts/demo.py $(ARGS)

test: venv ## run every test on the default Airflow version
	@$(VENV)/bin/python $(PYTEST) --coverage-table=check $(ARGS)

chaos: venv ## play 10,000 random histories of tasks while everything fails
	@exec $(VENV)/bin/python -m tests.chaos --processes $(WORKERS) $(ARGS)

coverage-table: venv ## write docs/emulator-coverage.md and docs/api-coverage.md from the tests
	@$(VENV)/bin/python -m tests.evidence.api_table
	@$(VENV)/bin/python $(PYTEST) -q -m covers --coverage-table=write $(ARGS)

lint: venv ## ruff, mypy and the import floors
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

format: venv ## let ruff mend and format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

matrix: $(addprefix test-airflow-,$(CELLS)) ## run the tests on every Airflow version that has a lock file

test-airflow-%: ## run the tests on one Airflow version
	$(call bootstrap,--airflow $*)
	@echo "== Airflow $*"
	@$(if $(filter $(DEFAULT),$*),$(VENV),.venv-$*)/bin/python $(PYTEST) -m "not packaging" $(ARGS)

emulator: venv ## start a local AMC
	@exec $(VENV)/bin/amc emulator $(ARGS)

bench-emulator: venv ## measure the emulator: start, memory, polls, privacy controls
	@exec $(VENV)/bin/python -m benchmarks.emulator $(ARGS)

bench-wait: venv ## measure deferred waits: requests, CPU, memory, and how soon they go on
	@exec $(VENV)/bin/python -m benchmarks.wait $(ARGS)

bench-hash: venv ## measure how fast identities are normalised and hashed, and in how much memory
	@exec $(VENV)/bin/python -m benchmarks.hash $(ARGS)

bench-landing: venv ## measure how results land beside the usual ways: time and memory
	@exec $(VENV)/bin/python -m benchmarks.landing $(ARGS)

lock: venv ## resolve the lock files anew (network)
	$(VENV)/bin/python scripts/lock.py $(ARGS)

build: venv ## build the wheel and the source distribution into dist/
	$(VENV)/bin/hatchling build

clean: ## delete environments, caches and what the demo left
	rm -rf .venv .venv-* .demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
