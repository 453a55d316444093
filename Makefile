# make demo   set up, then run the whole chain: train, prune, QAT, convert, score, time, report
# make test   set up, then run the tests that every change needs: ten minutes on two cores
# make test-all  all tests: also every family with every scheme, all phones, fuzzing
# make coverage  line coverage of make test, and the ten least covered files
# make lint   ruff, mypy, import-linter, codespell
# make setup  create .venv with the locked dependencies
# make setup-npu  add Qualcomm's NPU compiler and emulator (Linux on x86-64)
# make lock   update the lock files after a change of pyproject.toml
# make sampler  build the sampler that runs on phones
# make clean  remove all of the above except cached downloads

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps
DEMO_FLAGS ?=
# Where it is set, every start of Python would compile TensorFlow's sources anew.
unexport PYTHONDONTWRITEBYTECODE
PYTEST_FLAGS ?=

.PHONY: demo test test-all test-rest coverage lint setup setup-npu lock sampler clean

demo: setup
	@$(BIN)/python -m scripts.demo $(DEMO_FLAGS)

test: setup
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_FLAGS)

test-all: setup
	@$(BIN)/python -m pytest $(PYTEST_FLAGS)

# What make test leaves out.
test-rest: setup
	@$(BIN)/python -m pytest -m slow $(PYTEST_FLAGS)

coverage: setup
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -m "not slow" $(PYTEST_FLAGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --sort=cover | sed -n 1,12p
	@echo "lines covered, %: $$($(BIN)/coverage report --format=total --precision=1)"
	@$(BIN)/coverage report --fail-under=85 > /dev/null

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell -D - -D tests/support/spelling.txt

setup: $(STAMP)

# A venv whose Python has gone, or that a broken install left, is made anew.
$(STAMP): installer.lock requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "error: Python 3.11 is needed | got: $$($(PYTHON) --version) | to do: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "setting up $(VENV) (about 1 GB of downloads the first time; a few minutes)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --quiet -r installer.lock
	@$(BIN)/uv pip install --python $(BIN)/python --require-hashes --no-deps --compile-bytecode \
	  -r requirements.lock \
	  || { echo "uv could not; trying pip, which knows the indexes and proxies of pip.conf"; \
	  $(PIP) -r requirements.lock; }
	@touch $(STAMP)

# Qualcomm's compiler and emulator, 130 MB, under Qualcomm's license.
setup-npu: setup
	@$(BIN)/uv pip install --python $(BIN)/python --require-hashes --no-deps -r npu.lock \
	  || $(PIP) -r npu.lock

lock:
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade uv
	echo uv | $(BIN)/uv pip compile - --no-header --no-annotate --generate-hashes \
	  --output-file installer.lock
	$(BIN)/uv pip compile pyproject.toml --extra=all --extra=dev --python-version 3.11 \
	  --generate-hashes --constraint constraints.txt --no-header --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra=npu --python-version 3.11 --generate-hashes \
	  --constraint requirements.lock --no-header --no-annotate --output-file npu.lock

# Checked against `ARM64_SHA256` of android_bench/power/sampler.py.
sampler: setup
	$(BIN)/python -m pip install --quiet ziglang==0.17.1
	$(BIN)/python -m ziglang cc -target aarch64-linux-musl -Os -s -static \
	  -o android_bench/power/sampler-arm64 android_bench/power/sampler.c
	sha256sum android_bench/power/sampler-arm64

clean:
	rm -rf $(VENV) .coverage .coverage.* output .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
