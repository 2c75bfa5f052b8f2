# make demo: set up, then run the main job on real input.   make test: set up, then everything CI asks.
# make long: what takes longer: long proofs, coverage, mutants, lowest declared versions, other Pythons.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
# what is imported by every command and worker is compiled once
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test kernels wheel browser check long coverage mutants lowest pythons format bench docs linkcheck clean

demo: $(VENV)/.installed
	$(BIN)/noptoolkit compare mozart-nop-tree mesh-4x4 torus-4x4 --on qwen3-30b-a3b --on gpt-oss-20b -o $(OUT)/ --report $(OUT)/report.html

# lint and types run on one core while kernels are compiled on the other: the tests find them on disk
test: $(VENV)/.developer
	@$(MAKE) --no-print-directory --jobs 2 check kernels wheel
	MPLBACKEND=Agg $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

kernels: $(VENV)/.developer
	$(BIN)/python .ci/compile_kernels.py all

wheel: $(VENV)/.developer
	$(BIN)/python .ci/smoke_wheel.py

# a Chromium for the tests of the report page; without one they are skipped
browser:
	@command -v chromium-headless-shell chromium google-chrome >/dev/null || \
	  { timeout 60 apt-get update -qq && timeout 120 apt-get install -y -qq --no-install-recommends chromium-headless-shell; } || \
	  echo "no Chromium could be installed: the tests of the report page in a browser are skipped"

check: $(VENV)/.developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell noptoolkit docs gallery benchmarks README.md CONTRIBUTING.md CHANGELOG.md

# what is too long for every change: long proofs, coverage, mutants, the lowest versions declared, other Pythons
long: check docs coverage mutants lowest pythons
	MPLBACKEND=Agg HYPOTHESIS_PROFILE=random $(BIN)/python -m pytest -q -m long

coverage: $(VENV)/.developer
	MPLBACKEND=Agg HYPOTHESIS_PROFILE=random $(BIN)/python -m pytest -q --cov --cov-report=term

# 80 mutants of each of seven rooms: some hours. make mutants ROOMS=physical SAMPLE=20 SEED=2 takes minutes
mutants: $(VENV)/.developer
	$(BIN)/python .ci/mutation --sample $(or $(SAMPLE),80) --seed $(or $(SEED),1) $(ROOMS)

lowest: $(VENV)/.developer
	$(BIN)/python .ci/other_versions.py --lowest

pythons: $(VENV)/.developer
	$(BIN)/python .ci/other_versions.py python3.11 python3.12 python3.13 python3.14

format: $(VENV)/.developer
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.developer
	$(BIN)/python -m benchmarks

docs: $(VENV)/.developer
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	MPLBACKEND=Agg $(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

linkcheck: $(VENV)/.developer
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/sphinx-build -b linkcheck docs docs/_build/linkcheck

clean:
	rm -rf $(VENV) build dist $(OUT) docs/_build docs/generated docs/auto_gallery

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "noptoolkit needs Python 3.11 or newer; run: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[report]'
	@echo "compiling kernels, once"
	@$(BIN)/python .ci/compile_kernels.py
	@touch $@

$(VENV)/.developer: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[dev]'
	@touch $@ $(VENV)/.installed
