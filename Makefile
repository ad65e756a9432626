# Every target does its own set-up. `make repro PROFILE=smoke` runs profiles/smoke.yaml in runs/smoke/;
# `JOBS=n` works on n models at once (default: by cores and device);
# `ENGINE=ray` or `slurm` runs the models' jobs on a cluster (docs/faq.md).
PYTHON ?= python3
VENV := .venv
BIN := $(abspath $(VENV))/bin
PROFILE ?=
RUN := $(if $(PROFILE),runs/$(PROFILE),.)
export PATH := $(BIN):$(PATH)
export MPLBACKEND := Agg

.PHONY: setup repro smoke test fuzz lint ui export docs bench clean
.DEFAULT_GOAL := repro

setup: $(VENV)/ready

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed; make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "error: no venv module; apt-get install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

repro: setup
	$(BIN)/python -m pipeline.reproduce $(if $(PROFILE),--profile $(PROFILE)) $(if $(JOBS),--jobs $(JOBS)) \
	  $(if $(ENGINE),--engine $(ENGINE)) $(if $(GPUS_PER_JOB),--gpus-per-job $(GPUS_PER_JOB))

smoke: PROFILE := smoke
smoke: setup
	$(BIN)/python -m pipeline.reproduce --profile smoke

# A worker a core, one thread each; tests of one file share what they prepare.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

fuzz: setup
	FUZZ_EXAMPLES=$(or $(EXAMPLES),5000) $(BIN)/python -m pytest tests/test_fuzz.py --timeout 0

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

ui: setup
	cd $(RUN) && $(BIN)/python -m pipeline.track
	cd $(RUN) && $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(or $(PORT),5000)

export: setup
	cd $(RUN) && $(BIN)/python -m pipeline.export

docs: setup
	$(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[bench]'
	$(BIN)/python -m benchmarks

clean:
	rm -rf runs data/work site
