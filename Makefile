# Everything a developer runs; CI calls the same `make test`.
# The first that answers and is new enough: pyenv puts names on the PATH that answer only when that version is switched on.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
# An environment of its own: checkov pins another boto3.
CHECKOV := $(VENV)/checkov/bin/checkov
export TF_CLI_CONFIG_FILE ?= /dev/null
# A folder with an unpacked provider, for `terraform init -plugin-dir`; empty, the registry is asked.
export TF_PLUGIN_DIR ?=

.PHONY: demo test lint unit faults build plan parity permissions bench clean

demo: $(VENV)/local ## POST events, store them, ask: the whole pipeline in a minute
	@$(BIN)/python -m auditlake.demo

test: lint unit ## lint, types, all tests

lint: $(VENV)/dev $(CHECKOV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@command -v terraform >/dev/null || { echo "terraform is not on the PATH: its formatting is not checked"; test "$(CI)" != true; }
	@! command -v terraform >/dev/null || terraform fmt -check -recursive terraform
	@echo "checkov reads terraform/; a finding that is meant has its reason beside the resource"
	@$(CHECKOV) --directory terraform --framework terraform --compact --quiet --skip-download --download-external-modules false

# Three processes on two cores: those that apply a stack wait most of their time.
unit: $(VENV)/dev $(CHECKOV)
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

faults: $(VENV)/dev ## every fault of docs/reliability.md, which it writes; SEED=N repeats a run, ONLY=1a,7c chooses
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

build: ## dist/transform.zip and dist/receiver.zip, which terraform deploys
	$(PYTHON) build.py

plan: $(VENV)/dev ## regenerate the plan of the defaults that the package keeps
	$(BIN)/python -m auditlake.default_plan

parity: $(VENV)/dev ## regenerate docs/parity.md from docs/parity.yaml
	$(BIN)/python -m auditlake.parity

permissions: $(VENV)/dev ## regenerate the tables of docs/security.md from plans
	$(BIN)/python -m auditlake.permissions

bench: $(VENV)/dev ## the benchmarks that take a minute or less, a table each (bench/README.md has the others)
	$(BIN)/python bench/transform.py
	$(BIN)/python bench/cold_start.py
	$(BIN)/python bench/convert.py

clean:
	rm -rf $(VENV) dist build data *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "auditlake needs Python 3.11 or newer, and none is on the PATH: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/local: pyproject.toml | $(VENV)/bin/python
	@echo "installing what one machine needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local]'
	@touch $@

$(VENV)/dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing what development needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(VENV)/local $@

$(CHECKOV): requirements-checkov.txt | $(VENV)/bin/python
	@echo "installing checkov into $(VENV)/checkov"
	@$(PYTHON) -m venv $(VENV)/checkov
	@$(VENV)/checkov/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-checkov.txt
	@touch $@
