# The developer's verbs; `make help` lists them.
# Each works from a fresh clone: the environment in .venv is made first, and again when
# pyproject.toml or constraints.txt has changed. PYTHON=... names the interpreter to make it with.

# The tests start hundreds of processes: what one has compiled the others must find compiled.
unexport PYTHONDONTWRITEBYTECODE

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo up test check fix explore bench bench-parked bench-reconnects bench-chunks chaos coverage torture torture-peers ctk tck clean gates

help: ## list these verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:[^#]*## /\t/' | expand -t 18

setup: $(STAMP) ## make or renew the environment in .venv

demo: $(STAMP) ## the whole story in under two minutes, with a coordinator killed twice
	$(BIN)/parley demo

up: $(STAMP) ## run the mesh on this machine until Ctrl-C
	$(BIN)/parley up

test: gates ## what CI runs: the static gates, then every test but chaos
	$(BIN)/python -m pytest -n 4 --dist worksteal --durations 40 -m "not chaos"

coverage: $(STAMP) ## the same tests, and which lines and branches they reach
	$(BIN)/python -m pytest -n 4 -q -m "not chaos" --cov --cov-report=term:skip-covered

check: gates ## what a push should pass: the static gates and the tests that kill no process
	$(BIN)/python -m pytest -n 4 -q -m "not chaos and not crash"

explore: $(STAMP) ## the property tests with new examples, which `make test` never has
	$(BIN)/python -m pytest -n 4 -q -m hypothesis --hypothesis-profile explore

fix: $(STAMP) ## let ruff repair and format what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure a pipeline beside the bare SDK client and four peers; writes benchmarks/README.md
	$(BIN)/python -m benchmarks.run --peers

bench-parked: $(STAMP) ## measure 10,000 runs that wait: memory, idle CPU, restart, wake-up
	$(BIN)/python -m benchmarks.parked

bench-reconnects: $(STAMP) ## cut clients of streams off 2,000 times: nothing lost, nothing doubled
	$(BIN)/python -m benchmarks.reconnects

bench-chunks: $(STAMP) ## stream small chunks: how many a second, and how many share a commit
	$(BIN)/python -m benchmarks.chunks

chaos: $(STAMP) ## kill the coordinator again and again while runs are under way
	$(BIN)/python -m pytest -m chaos -s tests/chaos

torture: $(STAMP) ## play what can go wrong against Parley, and write the table of docs/torture.md
	$(BIN)/python -m tests.torture.table

torture-peers: $(STAMP) ## play the same against four peers too, each in an environment of its own
	$(BIN)/python -m benchmarks.peers.compare

ctk: $(STAMP) ## run the specification's conformance kit: CTK=its checkout, or git directory
	@for runner in interpreter coordinator; do echo "run by the $$runner:"; \
	  CTK="$(CTK)" $(BIN)/python -m pytest -n 0 -q tests/conformance/kit.py -k $$runner || exit 1; done

tck: $(STAMP) ## run the A2A compatibility kit against an agent, and through the coordinator: TCK=its checkout, or git directory
	@for sut in $(or $(SUT),bare agent hop); do echo "run against $$sut:"; \
	  $(BIN)/python -m tests.tck --sut $$sut "$(TCK)" || exit 1; done

clean: ## remove what was built or cached, and .venv; runs in .parley stay
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* \
	  .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path './.git' -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

gates: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# pip is brought up first: the one that comes with Python 3.11 knows no dependency groups. The build
# backend is in the dev group, so that it is pinned like everything else.
$(STAMP): pyproject.toml constraints.txt
	@[ -x $(BIN)/python ] && $(BIN)/python -c 'import pip' 2>/dev/null || { $(find_python); \
	  echo "making $(VENV) with $$found"; rm -rf $(VENV); "$$found" -m venv $(VENV); }
	@echo "installing the pinned packages into $(VENV), half a minute or more"
	@$(BIN)/python -m pip install -q -c constraints.txt pip
	@$(BIN)/python -m pip install -q -c constraints.txt --group dev
	@$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e .
	@touch $@

define find_python
found=; bare=; \
for each in $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14; do \
  "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
  "$$each" -c 'import ensurepip, venv' 2>/dev/null && { found=$$each; break; } || bare=$$each; \
done; \
if [ -z "$$found" ] && [ -n "$$bare" ]; then \
  echo "$$bare cannot make an environment; on Debian: apt-get install python3-venv" >&2; exit 1; \
elif [ -z "$$found" ]; then \
  echo "no Python 3.11 or later; on Debian 12: apt-get install python3 python3-venv," \
    "elsewhere: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; \
fi
endef
