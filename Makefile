# Every target says what it does: `make help`.
.DEFAULT_GOAL := help
PY := .venv/bin/python

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

.venv/installed: requirements/dev.lock pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Ripcurrent needs Python 3.11; python3 is $$(python3 --version)"; exit 1; }
	@test -d .venv || python3 -m venv .venv
	$(PY) -m pip install --quiet --require-hashes -r requirements/dev.lock
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: .venv/installed  ## .venv with the command ripcurrent in it

check: install  ## the fast part: lint, types, layers, unit tests (3 to 6 minutes)
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q -n auto --maxprocesses 4 --dist worksteal --ignore=tests/integration --ignore=tests/browser

test: check browser  ## and the report in a browser, and integration on Apache Kafka, but for test-long
	$(PY) -m pytest -q -n 2 --dist loadfile -m "not long" tests/browser tests/integration

browser:  ## a Chromium for the tests of the report, by apt; where there is none they are skipped
	@for name in chromium chromium-browser google-chrome; do command -v $$name > /dev/null && exit 0; done; \
	{ test "$$(id -u)" = 0 && command -v apt-get > /dev/null && \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install chromium > /dev/null; \
	} || echo "no Chromium and no way to install it here: the tests of the report in a browser are skipped"

test-long: install  ## brokers that fail and rolling restarts, which take some minutes more
	$(PY) -m pytest -q -m long tests/integration

demo: install  ## the whole pipeline in two minutes; KEEP=1 keeps it running
	@$(PY) -m streams.cli demo $(if $(KEEP),--keep)

chaos: install  ## workers and brokers killed and frozen under load, KILLS=20 SEED=1; then compared with a replay
	$(PY) -m tests.chaos --kills $(or $(KILLS),20) --seed $(or $(SEED),1)

chaos-mutations: install  ## whether chaos notices workers that are broken on purpose (10 minutes)
	$(PY) -m tests.chaos --mutations --kills $(or $(KILLS),2) --seed $(or $(SEED),1)

bench-live: install  ## events/s from Kafka to alerts, beside a plain Faust agent (10 minutes)
	$(PY) benchmarks/bench_live.py

.PHONY: help install check test browser test-long demo chaos chaos-mutations bench-live
