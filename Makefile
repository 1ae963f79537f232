# Every target does its own set-up. `make help` lists them.

# The first of these that is new enough; `make PYTHON=/path/to/python ...` overrides.
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$python"; break; }; done)
# The core, and how servers stop, are also tested on these, where they are installed.
OTHER_PYTHONS := 3.12 3.13

RUN := .venv/bin/python -m
READY := .venv/.ready
FUZZ_READY := .venv-fuzz/.ready
SETTINGS := pyproject.toml constraints.txt
# What docs/performance.md is made from.
FIGURES := docs/performance/figures.json
PAGE := integrations/poeproto_playground/page
# The Node SDK of OpenAI, which tests/interop runs against the gateway.
OPENAI_NODE := tests/interop/openai/node
INSTALL_ARGUMENTS := -c constraints.txt --build-constraint constraints.txt

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# The version is pinned; that a newer one is out is no news here.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

.DELETE_ON_ERROR:
.PHONY: help demo test test-core test-rest test-other-pythons test-slow check lint page openai-node page-check page-speed screenshots format types generated docs docs-check mutants fuzz bench plots soak wheel-check constraints clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(READY)  ## show a bot and a client talking, on asyncio and on trio
	@.venv/bin/python docs/examples/demo.py

test: test-core test-rest  ## run the tests: about six minutes on two cores

# More processes than eight would only wait for each other's start. By file where a module's fixtures are costly.
PYTEST := -m pytest -q -n auto --maxprocesses 8
BY_FILE := --dist loadfile --no-loadscope-reorder
# These tests wait for servers and clocks for a third of their time, so three processes share two cores.
WAITING := -n $(shell n=$$(nproc 2>/dev/null || echo 2); n=$$((n * 3 / 2)); echo $$((n > 8 ? 8 : n)))
BY_TEST := --dist worksteal

test-core: $(READY)
	@# The random cuts of the vectors add no coverage, and tracing would make them several times as long.
	rm -f .coverage .coverage.*
	RANDOM_CUTS=0 .venv/bin/python -m coverage run $(PYTEST) $(BY_TEST) tests/core
	$(RUN) coverage combine -q
	$(RUN) coverage report
	.venv/bin/python $(PYTEST) $(BY_TEST) tests/core/*/test_vectors_*.py

test-rest: $(READY)
	.venv/bin/python $(PYTEST) $(WAITING) $(BY_FILE) -m "not slow" tests/docs tests/integrations tests/interop tests/fuzzing

test-slow: $(READY)  ## benchmarks and soak, small; peers, servers and programs of the documentation as processes; the playground in Chromium: eight minutes
	.venv/bin/python -m pytest -q -m slow tests/docs/test_benchmarks.py
	.venv/bin/python $(PYTEST) $(WAITING) $(BY_FILE) -m slow --ignore=tests/docs/test_benchmarks.py \
		tests/docs tests/integrations tests/interop
	.venv/bin/python $(PYTEST) $(BY_FILE) --ignore=tests/playground/test_page_speed.py tests/playground

test-other-pythons: $(OTHER_PYTHONS:%=test-on-%)  ## run the core's tests, and those of how servers stop, on Python 3.12 and 3.13: two minutes

# How a server stops depends on asyncio, and so on the Python.
test-on-%:
	@if .ci/find-python $* >/dev/null; then \
		$(MAKE) --no-print-directory .venv-$*/.ready && \
		echo "The core, and how servers stop, on Python $*:" && \
		RANDOM_CUTS=10 .venv-$*/bin/python $(PYTEST) $(BY_TEST) tests/core && \
		.venv-$*/bin/python $(PYTEST) $(WAITING) $(BY_FILE) tests/docs/test_stopping_page.py tests/integrations/asgi/test_shutdown.py; \
	else \
		echo "Python $* is not installed here: the core, and how servers stop, are not tested on it."; \
	fi

check: lint types test test-other-pythons test-slow  ## everything a change must pass

lint: $(READY)  ## style, who may import whom, and the words that the prose avoids
	$(RUN) ruff check
	$(RUN) ruff format --check
	.venv/bin/lint-imports
	.venv/bin/python .ci/check_words.py

page: $(PAGE)/node_modules/.package-lock.json  ## build the playground's page again; needs Node.js
	cd $(PAGE) && node_modules/.bin/tsc --noEmit && node build.mjs

page-speed: $(READY)  ## measure in Chromium that the playground's page never freezes; on an idle machine
	.venv/bin/python -m pytest -q -n0 tests/playground/test_page_speed.py

screenshots: $(READY)  ## take new pictures of the playground in docs/playground; needs Chromium
	.venv/bin/python docs/playground/take_screenshots.py

openai-node: $(OPENAI_NODE)/node_modules/.package-lock.json  ## install the Node SDK of OpenAI, which some tests need; needs Node.js

page-check: $(PAGE)/node_modules/.package-lock.json  ## build it from the pinned packages, and compare it with the committed bundle
	.ci/page-check

format: $(READY)  ## rewrite the files in the house's style
	$(RUN) ruff check --fix
	$(RUN) ruff format

types: $(READY)  ## pyright in strict mode, and the types our users see
	$(RUN) pyright
	@# It looks for the package in the python found on PATH, whatever it is told.
	PATH="$(CURDIR)/.venv/bin:$$PATH" pyright --verifytypes poeproto --ignoreexternal

generated: $(READY)  ## write the generated parts of docs/
	.venv/bin/python docs/generate.py
	.venv/bin/python -m tests.interop.compat.behaviour

docs: $(READY)  ## build the documentation's site in build/docs; a broken link or an undocumented name fails
	@# Without --jobs: if the parent of such processes fails, it waits for ever for one that writes to it.
	$(RUN) sphinx --builder html --fail-on-warning --keep-going --nitpicky --quiet docs build/docs

docs-check: docs $(PAGE)/node_modules/.package-lock.json  ## build the site, and try its search and its pages in Chromium
	.venv/bin/python $(PYTEST) $(BY_TEST) tests/site

mutants: $(READY)  ## change the core in small ways, and see whether a test notices: twenty-five minutes; MODULES="exchange/reply wire/codec" for some
	@$(if $(MODULES),,.venv/bin/python tests/mutants/tables.py)
	@.venv/bin/python tests/mutants/functions.py $(MODULES)

fuzz: $(READY) $(FUZZ_READY)  ## nearly four million hostile inputs: ten minutes on two cores; RUNS=n or SECONDS=n a target, SEED=n, TARGETS="..."
	@$(if $(TARGETS),,echo "The vectors, each cut in ten thousand ways:" && \
		RANDOM_CUTS=10000 .venv/bin/python $(PYTEST) $(BY_TEST) tests/core/*/test_vectors_*.py)
	@.venv-fuzz/bin/python -m tests.fuzzing $(TARGETS) $(if $(RUNS),--runs $(RUNS)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(SEED),--seed $(SEED))

bench: $(READY)  ## measure, beside fastapi_poe and others: twenty minutes; JSON=FILE keeps the figures
	@$(RUN) benchmarks $(if $(JSON),--json $(JSON))

plots: $(READY)  ## fill docs/performance.md and draw its plots, from JSON=FILE
	@$(RUN) benchmarks.document $(or $(JSON),$(FIGURES))
	@.venv/bin/python docs/generate.py

soak: $(READY)  ## faults and floods: what becomes of servers and clients, in figures; JSON=FILE keeps them
	@$(RUN) benchmarks.soak $(if $(JSON),--json $(JSON))

wheel-check: $(READY)  ## build the wheel, and test it where the checkout cannot be seen
	.ci/wheel-check

constraints:  ## resolve the pins in constraints.txt again
	.ci/make-constraints

clean:  ## remove all that is made by the others
	rm -rf $(PAGE)/node_modules $(OPENAI_NODE)/node_modules .venv .venv-* .coverage .coverage.* .fuzzing .hypothesis .import_linter_cache .pytest_cache .ruff_cache build dist mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last, so an environment whose making was interrupted is made again.
$(READY): $(SETTINGS)
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python 3.11 or later is needed, and none was found. Is it under another name? make PYTHON=..." >&2; exit 1; \
	fi
	@echo "Setting up .venv: once, a minute or two."
	@.ci/make-venv .venv "$(PYTHON)" $(INSTALL_ARGUMENTS) -e ".[dev]"
	@touch $@

# The packages of the playground's page. Only those who change the page need them, and the test with axe-core.
$(PAGE)/node_modules/.package-lock.json: $(PAGE)/package.json $(PAGE)/package-lock.json
	@command -v npm >/dev/null || { echo "The page of the playground is built with Node.js 20 or later, and npm; none was found." >&2; exit 1; }
	cd $(PAGE) && npm ci --no-progress
	@touch $@

$(OPENAI_NODE)/node_modules/.package-lock.json: $(OPENAI_NODE)/package.json $(OPENAI_NODE)/package-lock.json
	@command -v npm >/dev/null || { echo "The Node SDK of OpenAI needs Node.js 20 or later, and npm; none was found." >&2; exit 1; }
	cd $(OPENAI_NODE) && npm ci --no-progress
	@touch $@

# Apart from the others, since what guides the inputs is large and not to be had everywhere.
$(FUZZ_READY): $(SETTINGS)
	@echo "Setting up .venv-fuzz: once."
	@.ci/make-venv .venv-fuzz "$(PYTHON)" $(INSTALL_ARGUMENTS) -e ".[all,fuzz]"
	@touch $@

.venv-%/.ready: $(SETTINGS)
	@echo "Setting up .venv-$*: once."
	@.ci/make-venv .venv-$* "$$(.ci/find-python $*)" $(INSTALL_ARGUMENTS) -e ".[hypercorn]" pytest pytest-xdist hypothesis jsonschema uvicorn
	@touch $@
