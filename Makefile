# Each target calls a script or Python; `make help` lists them.
PYTHON ?= python3
VENV := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test browser-test screenshots up lint lint-python lint-dashboard migrations-check bench chaos chaos-ci stack-test load-test \
	secrets docker-check

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

setup: ## Make .venv and install everything into it (again when pyproject.toml or constraints.txt changed)
	@$(PYTHON) scripts/setup.py

demo: setup ## Train, download and try an emotional Gemma 3 270M, end to end
	@$(VENV)/emotune demo

# Tests that measure time, or share the one GPU, run last and alone. With worksteal one process starts with the real
# stacks, which mostly wait, and the other one with the tests of the model, which compute.
test: setup ## Run the tests on two cores (unit; then model and integration; then those that need the machine alone)
	@$(VENV)/python -m pytest -q --numprocesses 2 tests/unit
	@$(VENV)/python -m pytest -q --numprocesses 2 --dist worksteal --ignore tests/unit -m "not alone and not gpu"
	@$(VENV)/python -m pytest -q tests/integration tests/gpu -m "alone or gpu"

browser-test: setup ## Use the dashboard in Chromium, on a staged and on a real installation
	@$(VENV)/python -m pytest -q tests/browser

screenshots: setup ## Take pictures of every page, light and dark, in three widths, into build/screenshots/ and docs/images/
	@$(VENV)/python -m scripts.make_screenshots --readme

up: setup ## Start the stack with the sample model and keep it until Ctrl-C
	@$(VENV)/emotune up --sample-model

lint: lint-python lint-dashboard ## ruff, mypy strict, import-linter; the dashboard's types, linter and tests

lint-python: setup
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && $(VENV)/mypy && $(VENV)/lint-imports

lint-dashboard: setup
	@$(VENV)/python scripts/build_dashboard.py --check

migrations-check: setup ## Check that schema and migrations agree, and that every migration goes up, down and up again
	@$(VENV)/python -m scripts.check_migrations

bench: setup ## Measure the API's polls and uploads beside a bare FastAPI, and the cost of many dashboards
	@$(VENV)/python benchmarks/poll.py && $(VENV)/python benchmarks/upload.py && $(VENV)/python -m benchmarks.dashboards

MINUTES ?= 10
DATABASE ?= both
chaos: setup ## Kill, stop and starve a complete installation at random; MINUTES=10 SEED=n DATABASE=both
	@$(VENV)/python -m tests.chaos.main --minutes $(MINUTES) --database $(DATABASE) $(if $(SEED),--seed $(SEED))

chaos-ci: setup ## Two minutes of chaos: a known seed on SQLite, and a new one, which is printed, on PostgreSQL
	@$(VENV)/python -m tests.chaos.main --minutes 0.8 --database both --sqlite-seed 7 --slots 2

stack-test: setup ## Run the services of docker-compose.yml without containers, from the first start to the end
	@$(VENV)/python -m tests.stack.main

LOAD ?= --database postgresql
load-test: setup ## Two minutes with 200 pollers, 20 uploaders and 5 jobs; LOAD="--database sqlite --seconds 120"
	@$(VENV)/python -m benchmarks.load $(LOAD)

secrets: ## Make passwords in secrets/ and .env, for docker compose; OWNER=UID:GID if root runs it
	@$(PYTHON) scripts/make_secrets.py $(if $(OWNER),--owner $(OWNER))

docker-check: setup ## Run the pip steps of Dockerfile without Docker, and the service that they install
	@$(VENV)/python -m scripts.check_docker_steps
