# Everything a person does with a checkout of Braid. `make` lists the targets.

CARGO ?= cargo
PORT ?= 8080
POINTS ?= 500
SEED ?= 1000

.DEFAULT_GOAL := help
.PHONY: help tools models build run fuzz test soak bench train-reranker test-reranker reranker-arguments fmt lint tidy codegen clean clean-all

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

tools: ## check that the tools that building needs are there
	@sh scripts/check-tools.sh

models: tools ## put the ONNX Runtime library into your data folder (BRAID_ORT_LIB=FILE uses yours)
	@sh scripts/get-ort.sh >/dev/null

build: tools ## build the braid binary in release
	$(CARGO) build --release --locked --package braid --bin braid

run: models build ## ingest docs/ and serve it on 127.0.0.1:8080 (PORT=N for another port)
	@python3 scripts/run.py --port $(PORT)

fuzz: ## fuzz every parser and reader, MINUTES=10 each (SEED=N repeats a run; TARGETS="pdf html ..." chooses; REPLAY=target/fuzz reads what was kept)
	$(CARGO) run --quiet --locked --package braid-fuzz -- $(if $(REPLAY),--replay $(REPLAY),--minutes $(or $(MINUTES),10) \
	  $(if $(filter-out file,$(origin SEED)),--seed $(SEED)) $(TARGETS))

test: models ## run the whole test suite
	$(CARGO) test --workspace --locked --no-fail-fast

soak: models ## kill a process at 500 seeded points and check what is left (POINTS=N, SEED=N of the first)
	BRAID_SOAK_POINTS=$(POINTS) BRAID_SOAK_SEED=$(SEED) $(CARGO) test --package braid-engine --locked --test crash -- \
	  --nocapture --exact kills::killed_at_seeded_points_and_times

bench: models ## measure and write docs/benchmarks.md (PARTS=quality,gain,rerank,ingest,load,latency,http,startup,report; capacity for braid plan)
	$(CARGO) build --release --locked --package braid --package braid-eval --bins
	./target/release/braid-bench $(PARTS)

# A virtual environment of its own: PyTorch is large and Braid never needs it.
RERANKER_VENV := target/reranker-venv

$(RERANKER_VENV)/installed: eval/reranker/requirements.txt
	python3 -m venv --clear $(RERANKER_VENV)
	$(RERANKER_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement eval/reranker/requirements.txt
	touch $@

reranker-arguments:
	@test -n "$(DATA)" && test -n "$(OUT)" || { echo 'say make train-reranker DATA="DIR_OR_FILE ..." OUT=DIR' >&2; exit 1; }

train-reranker: reranker-arguments models build $(RERANKER_VENV)/installed ## train a re-ranker: DATA="DIR_OR_FILE ..." OUT=DIR [AGAINST="DIR ..."] [ARGS=...]
	$(RERANKER_VENV)/bin/python eval/reranker/run.py --data $(DATA) --out $(OUT) $(if $(AGAINST),--against $(AGAINST)) $(ARGS)

test-reranker: $(RERANKER_VENV)/installed ## test the re-ranker's training tool, PyTorch parts included
	$(RERANKER_VENV)/bin/python -m unittest discover --start-directory eval/reranker/tests --top-level-directory eval/reranker

fmt: ## format the sources
	$(CARGO) fmt --all

lint: ## run clippy as CI does
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

tidy: ## check the dependency, source and file rules
	$(CARGO) xtask tidy

codegen: ## write the files that are generated from the code
	$(CARGO) xtask codegen

clean: ## remove build output
	$(CARGO) clean

clean-all: ## give the machine back: build output, ./data and Braid's files in your data folder
	@sh scripts/clean-all.sh
