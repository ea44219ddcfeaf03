# Every target makes what it needs; nothing has to be installed first but Python 3.11 or newer.
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONSAFEPATH := 1

.PHONY: help install tools demo test coverage check format bench lock clean
help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# One virtual environment per set of requirements: the demo needs no test tools.
$(VENV)/.%: requirements/%.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "KITT needs Python 3.11 or newer with its venv module (Debian: apt install python3-venv)."; exit 78; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing requirements/$*.txt into $(VENV) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements/$*.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.run ## what `kitt up` needs, into .venv
tools: $(VENV)/.tools ## what jobs can use beside that: the web, a browser, documents, data
demo: $(VENV)/.demo ## the whole story with no key, no token, no network
	@$(BIN)/kitt demo $(ARGS)
TESTERS := $(shell echo $$(($$(nproc) + 2)))  # a third of the time tests wait for something
test: $(VENV)/.dev $(VENV)/.bench ## all tests
	@$(BIN)/python -m pytest -q -n $(TESTERS) --dist worksteal $(ARGS)
CORE := bridge/store.py,bridge/queue.py,bridge/leases.py,bridge/line.py,bridge/record.py,bridge/worker.py,bridge/telegram/inbox.py,bridge/telegram/outbox.py
coverage: $(VENV)/.dev ## branch coverage of store, queue, inbox, outbox and worker
	@$(BIN)/python -m coverage run -m pytest -q tests/test_queue*.py tests/test_worker*.py tests/test_store.py \
		tests/test_record.py tests/test_wake.py tests/test_upgrade.py tests/telegram
	@$(BIN)/python -m coverage report --include=$(CORE) --show-missing --fail-under=95
check: $(VENV)/.dev ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
format: $(VENV)/.dev ## rewrite the code in the house style
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
bench: $(VENV)/.dev $(VENV)/.bench ## the figures of the README, as JSON
	@$(BIN)/python -m bench $(ARGS)
TOOLS := web,documents,data,openai,browser
lock: ## renew requirements/*.txt from pyproject.toml (needs uv)
	@for x in run: demo:demo tools:$(TOOLS) dev:demo,dev,$(TOOLS) bench:bench; do \
		uv pip compile --quiet pyproject.toml requirements/build.in --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate \
		$$(echo $${x#*:} | tr , '\n' | sed '/./s/^/--extra /') -o requirements/$${x%%:*}.txt; done
clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
