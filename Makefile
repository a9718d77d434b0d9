# make demo   trains on the embedded images and shows what came out
# make test   lints, builds the docs and runs the tests, on TensorFlow and in part on JAX
# make test-jax   runs all that JAX can do
# make test-quick   runs the tests of the method, the tasks and the data: minutes
# make test-browser   opens the playground in an installed Chromium or Chrome: a minute
# make test-torch   runs what PyTorch can do, in an environment of its own
# make test-install   a notebook's first cells in a fresh environment: minutes
# make tutorials   runs all notebooks with their full parameters, and writes them
# make lint / make format / make docs

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

export TF_CPP_MIN_LOG_LEVEL ?= 3

# Container images often set this, and then each process compiles what it imports of
# TensorFlow anew: most of the time that `cfebm presets` takes.
export PYTHONDONTWRITEBYTECODE :=

# Of what tests take, much is the time that XLA compiles: do it quickly, and once.
QUICK := --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.pytest_cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
# What can differ between backends: random numbers, compiled steps, saved states, tasks.
JAX_TESTS := tests/backend $(patsubst %,tests/test_%.py,sampling model growing) \
	tests/tasks/test_tasks.py \
	tests/test_coarse_pool.py::test_training_draws_the_pool_once_and_its_chains_start_there \
	tests/callbacks/test_checkpoints.py::test_resumed_run_is_bitwise_the_uninterrupted_one[1] \
	tests/callbacks/test_guard.py::test_a_diverging_run_is_turned_back_and_recorded
# And what is written in `keras.ops` alone.
ALL_JAX_TESTS := $(filter-out tests/test_coarse_pool.py::%,$(JAX_TESTS)) \
	tests/test_coarse_pool.py tests/layers/test_blocks.py tests/test_network.py

# PyTorch's wheel is gigabytes, so it has an environment of its own.
TORCH := .venv-torch
TORCH_TESTS := $(filter-out tests/tasks/test_tasks.py,$(ALL_JAX_TESTS)) tests/tasks \
	tests/test_ladder.py

# What fails first when the method, a task, data or a picture is broken.
QUICK_TESTS := tests/layers tests/utils tests/datasets tests/evaluation tests/runs \
	tests/visualization tests/docs tests/test_network.py tests/test_sampling.py \
	tests/configs/test_run_config.py tests/configs/test_stages.py \
	tests/tasks/test_tasks.py tests/backend/test_random.py

.PHONY: demo test test-quick test-jax test-browser test-torch test-install docs tutorials \
	lint format clean

demo: $(STAMP)
	$(BIN)/cfebm demo --run_dir=runs/demo

# Two workers share two cores: each has one thread, and takes a batch as a whole. What
# works on parts at once is in tests/backend/test_parts.py.
ONE_THREAD := 1

test: export XLA_FLAGS := $(QUICK)
test: export TF_NUM_INTRAOP_THREADS := $(ONE_THREAD)
test: lint docs
	$(BIN)/python -m pytest
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(JAX_TESTS)

test-quick: export XLA_FLAGS := $(QUICK)
test-quick: export TF_NUM_INTRAOP_THREADS := $(ONE_THREAD)
test-quick: $(STAMP)
	$(BIN)/python -m pytest --durations=5 $(QUICK_TESTS)

test-jax: export XLA_FLAGS := $(QUICK)
test-jax: $(STAMP)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(ALL_JAX_TESTS)

test-browser: export XLA_FLAGS := $(QUICK)
test-browser: export CFEBM_TEST_BROWSER := 1
test-browser: $(STAMP)
	$(BIN)/python -m pip install --quiet -e ".[browser]"
	$(BIN)/python -m pytest -n0 -rs tests/serving/test_playground.py

test-torch: export XLA_FLAGS := $(QUICK)
test-torch: export TF_NUM_INTRAOP_THREADS := $(ONE_THREAD)
test-torch: export OMP_NUM_THREADS := $(ONE_THREAD)
test-torch: $(TORCH)/.installed
	KERAS_BACKEND=torch $(TORCH)/bin/python -m pytest -W ignore::DeprecationWarning \
		$(TORCH_TESTS)
	$(TORCH)/bin/python -m pytest -rs tests/backend/test_backends.py -k torch

test-install: $(STAMP)
	CFEBM_TEST_INSTALL=1 $(BIN)/python -m pytest -n0 -rs tests/packaging/test_install.py

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

tutorials: $(STAMP)
	$(BIN)/python tutorials/build.py

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# To compile all of TensorFlow takes longer than to install it. Python compiles what is
# imported.
$(STAMP): setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --no-compile -e ".[dev]"
	touch $@

$(TORCH)/.installed: setup.py
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet -e ".[eval,torch]" pytest pytest-xdist \
		hypothesis
	touch $@

clean:
	rm -rf $(VENV) $(TORCH) build dist *.egg-info .pytest_cache .ruff_cache
