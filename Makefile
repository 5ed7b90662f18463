# walletd: the commands that a person needs.  `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COMPILED ?= .venv-compiled
READY := $(VENV)/.ready
# What the daemon needs, and no more; a finished environment of the developers has it as well.
RUNNABLE := $(VENV)/.runnable
UV ?= uv
PIN = $(UV) pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(LOCK_ARGS)

# The folders of `make prove`: they hunt, with the figures of tests/faults/rows.py.  `make test` runs all the others.
PROOFS := $(patsubst %,tests/%,attacks conformance faults fuzz properties simulation)
# Those that want the machine for themselves: they fill it, or look at who is served meanwhile.
ALONE := tests/attacks $(patsubst %,tests/faults/test_%.py,memory overload)
# Compaction and snapshots, which are not compiled, and where no Python differs from another.
UPKEEP := $(patsubst %,tests/wallets/test_%.py,compaction snapshot)
# What is compiled, and a daemon of it.
COMPILED_TESTS := $(patsubst %,tests/%,ledger protocol tables wallets gateway reports) \
	$(patsubst %,tests/%.py,journal/test_merkle journal/test_segment daemon/test_clients daemon/test_money daemon/test_tour) \
	$(UPKEEP:%=--ignore %)
# What shows that another Python runs walletd as this one does: the rules, the actors, and a daemon.
CORE_TESTS := $(patsubst %,tests/%,ledger protocol tables vocabulary wallets daemon/test_tour.py) $(UPKEEP:%=--ignore %)
# One more than there are cores: many tests wait for a process, for the disk or for a deadline to pass.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# Tests start hundreds of processes: what they import is compiled once, whatever the environment says.
test prove test-core test-compiled test-systemd fault soak: export PYTHONDONTWRITEBYTECODE =

# needs(FILE): one sentence instead of a traceback where a script is not there.
needs = @test -e $(1) || { echo "walletd: there is no $(1) in this checkout, so there is nothing to run" >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help setup compiled run cluster test prove test-core test-compiled test-systemd check format bench bench-compare attacks conformance fault soak docs contract-diff sbom lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## make the virtual environment, with the locked packages

$(READY): requirements-dev.lock requirements-conformance.lock requirements.lock requirements-build.lock pyproject.toml tools/bootstrap.py
	@$(PYTHON) tools/bootstrap.py $(VENV)

$(RUNNABLE): requirements.lock requirements-build.lock pyproject.toml tools/bootstrap.py
	@$(PYTHON) tools/bootstrap.py --only-to-run $(VENV)

compiled: ## the same with the hot modules compiled, in .venv-compiled: about 1.5 times as fast; needs a C compiler
	@$(PYTHON) tools/bootstrap.py $(COMPILED)
	@$(PYTHON) tools/compiled.py $(COMPILED)

run: $(RUNNABLE) ## start the daemon with its data under ./var; ARGS="--port 8000" passes flags on
	@exec $(BIN)/walletd serve $(ARGS)

cluster: $(READY) ## start PostgreSQL with a synchronous standby and three nodes under ./var/cluster; FOLDER=/srv/x names another
	@exec $(BIN)/python tools/cluster.py $(or $(FOLDER),var/cluster) $(or $(NODES),3)

test: $(READY) ## run the tests of every part, some five minutes on two cores; PYTEST_ARGS=tests/ledger runs one folder
ifdef PYTEST_ARGS
	$(BIN)/python -m pytest $(PYTEST_ARGS)
else
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PROOFS:%=--ignore %)
endif

prove: $(READY) ## hunt for faults: crashes, power cuts, fuzzing, simulation, planted bugs; some 10 minutes on two cores
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(filter-out tests/attacks,$(PROOFS)) $(ALONE:%=--ignore %)
	$(BIN)/python -m pytest $(ALONE)

test-core: $(READY) ## run what shows that another Python will do; VENV=.venv-3.13, made by make setup PYTHON=python3.13
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(CORE_TESTS)

test-compiled: ## run the tests of the compiled modules
	@[ -x $(COMPILED)/bin/walletd ] || { echo "walletd: nothing is compiled yet: make compiled" >&2; exit 1; }
	$(COMPILED)/bin/python -m pytest $(or $(PYTEST_ARGS),-n $(WORKERS) --dist worksteal $(COMPILED_TESTS))

test-systemd: $(READY) ## boot a Debian and test the units under its systemd; needs root, debootstrap, systemd-nspawn
	$(BIN)/python tests/systemd/boot.py

check: $(READY) ## check format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.bench: $(READY) requirements-bench.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-input --require-hashes -r requirements-bench.lock \
		&& touch $@ || echo "walletd: going on without pictures, profiles and TigerBeetle's client" >&2

bench: $(VENV)/.bench ## measure walletd beside its peers on this machine; ARGS="many hot" chooses, ARGS=--full takes all
	$(BIN)/python -m bench $(ARGS)

bench-compare: $(READY) ## measure this checkout beside another revision in one interleaved run: BASE=HEAD~1
	@[ -n "$(BASE)" ] || { echo "walletd: say which revision: make bench-compare BASE=HEAD~1" >&2; exit 64; }
	$(BIN)/python -m bench.compare $(BASE) $(ARGS)

attacks: $(READY) ## attack a separate daemon, and print the effects on an honest client and on memory
	$(BIN)/python -m bench.attacks $(ARGS)

conformance: $(READY) ## print Autobahn's verdicts on the websocket, as docs/understand/conformance.md has them
	$(BIN)/python -m tests.conformance.verdicts $(ARGS)

fault: $(READY) ## run one row of faults with its planted bugs; ROW=3, or ROW=all for every row
	@test -n "$(ROW)" || { $(BIN)/python -m tests.faults.table; echo "which one? make fault ROW=3, or ROW=all" >&2; exit 64; }
	$(BIN)/python -m tests.faults.soak $(if $(filter all,$(ROW)),--once,--row $(ROW)) $(ARGS)

soak: $(READY) ## run all rows of faults in turn for hours; HOURS=8, ARGS="--seed 7" repeats one
	$(BIN)/python -m tests.faults.soak --hours $(or $(HOURS),1) $(ARGS)

docs: $(READY) ## write the generated parts of docs/
	$(call needs,docs/build.py)
	$(BIN)/python docs/build.py

contract-diff: $(READY) ## list the changes of the contract since BASE, breaking ones first
	$(BIN)/python tools/contract_diff.py --base $(or $(BASE),HEAD)

sbom: $(READY) ## write the software bill of materials (CycloneDX) to build/walletd.cdx.json, from the lock
	$(BIN)/python tools/sbom.py build/walletd.cdx.json

lock: ## pin the packages of pyproject.toml; LOCK_ARGS=--upgrade takes the newest; needs uv
	@command -v $(UV) >/dev/null || { echo "walletd: pinning needs uv: pipx install uv, or say where it is: make lock UV=/path/to/uv" >&2; exit 69; }
	$(PIN) pyproject.toml -o requirements.lock
	$(PIN) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(PIN) --group build -c requirements-dev.lock -o requirements-build.lock
	$(PIN) --group bench -c requirements.lock -c requirements-dev.lock -o requirements-bench.lock

clean: ## remove everything generated, except ./var
	rm -rf $(VENV) .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
