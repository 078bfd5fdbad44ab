# Everything a newcomer needs: `make run` and `make test` set up what they need and start at once the second time.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
CPU_TORCH := https://download.pytorch.org/whl/cpu
WORKERS ?= 2

SETUP ?= yes
GPU ?=

.PHONY: setup run test test-slow lint bench gpu kernels test-kernels browser

setup: $(READY)

# torch first: where no GPU answers its CPU build is enough and saves gigabytes. The index for it may be out of
# reach; then whatever build the default index has for the pinned version will do.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c 'import torch' 2>/dev/null || nvidia-smi >/dev/null 2>&1 || \
		$(BIN)/pip install -q --no-deps --retries 0 --timeout 10 -c constraints.txt --index-url $(CPU_TORCH) torch torchvision \
		2>/dev/null || $(BIN)/pip install -q --no-deps -c constraints.txt torch torchvision
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@$(BIN)/python -c 'import sys; from spa3d.runtime.torchvision_guard import describe_problem as problem; \
		sys.stderr.write(problem() and f"note: {problem()}\n")'
	touch $@

run: $(READY)
	$(BIN)/python tools/run.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile

test-slow: $(READY)
	$(BIN)/pytest -m slow

bench: $(READY)
	$(BIN)/python benchmarks/ops.py
	$(BIN)/python benchmarks/encoders.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/loading.py
	$(BIN)/python benchmarks/main_job.py

# SETUP=no: with the interpreter named by PYTHON, as it is, and files of the repository only. GPU=ops,step: these parts.
gpu: $(if $(filter no,$(SETUP)),,$(READY))
	PYTHONPATH=core:plugins$${PYTHONPATH:+:$$PYTHONPATH} $(if $(filter no,$(SETUP)),$(PYTHON),$(BIN)/python) \
		benchmarks/gpu.py $(if $(GPU),--parts $(GPU))

# PyPI's torch-points-kernels 0.7.0 lacks an include, needs torch at build time, and asks for a NumPy below 1.20 that
# Python 3.11 never had, hence without its dependencies; of those it imports only numba. FORCE_CUDA=1 where a GPU is.
kernels: $(READY)
	$(BIN)/pip install -q -c constraints.txt setuptools wheel
	CXXFLAGS="-include memory" $(BIN)/pip install -q --no-deps --no-build-isolation torch-points-kernels==0.7.0
	$(BIN)/pip install -q -c constraints.txt numba

# The adapter's own tests, and what holds for every backend against the library that was built.
test-kernels: kernels
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/plugins/ops/test_torch_points_kernels.py
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/core/ops/test_functional.py -k "[torch-points-kernels]"

browser: $(READY)
	$(BIN)/pip install -q -c constraints.txt selenium
	$(BIN)/pytest -m browser
