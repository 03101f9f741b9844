# Two commands for a newcomer: `make demo` and `make test`. Each makes .venv, installs what it needs, and runs.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
ORACLES := onnx onnxruntime scikit-learn pycocotools opencv-contrib-python-headless pydensecrf2 PyMaxflow
WORKERS ?= auto

.PHONY: demo test check format bench golden mutation weights clean

demo: .venv/demo-installed
	$(BIN)/refdet demo --output demo

# Several processes share the processors already: a thread that waits by going round a loop takes one from the others.
test: export OPENBLAS_NUM_THREADS = 1
test: export OMP_WAIT_POLICY = passive
test: .venv/test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/refdet golden generate --check & checked=$$!; trap 'kill $$checked' INT TERM; \
	{ $(BIN)/mypy && $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup $(PYTEST_OPTIONS); }; \
	tested=$$?; wait $$checked || { echo "the golden files are not what the cases say: see above" >&2; exit 1; }; \
	exit $$tested
	NUMBA_ENABLE_CUDASIM=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup $(PYTEST_OPTIONS) tests/backends/gpu

format: .venv/test-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: .venv/test-installed
	$(BIN)/refdet golden generate

# It may be stopped, and goes on where it was.
mutation: .venv/test-installed
	$(BIN)/python -m tests.mutation run
	$(BIN)/python -m tests.mutation core
	$(BIN)/python -m tests.mutation report --markdown docs/mutation.md

# The trained models that come with refdet, which are committed: some three hours of one core, then more than one.
weights: .venv/test-installed
	for trained in small_mask_rcnn:shapes small_keypoint_rcnn:figures; do \
		model=$${trained%:*}; data=$${trained#*:}; resume=; test -f build/$$model/run.json && resume=--resume; \
		NUMBA_NUM_THREADS=1 $(BIN)/refdet train $$model --data $$data --seed 0 --backend numba-cpu \
			--out build/$$model $$resume && \
		$(BIN)/python -c "from refdet.detection.model_file import ship; print(ship('build/$$model/model.safetensors'))" \
		|| exit 1; \
	done

clean:
	rm -rf .venv demo

.venv/made:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(None if sys.version_info >= (3, 11) else f"refdet needs Python 3.11 or newer, $(PYTHON) is {v}; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/demo-installed: .venv/made pyproject.toml
	$(PIP) --editable .
	@touch $@

# Oracles that cannot be installed together (some need a compiler) are tried one by one: each then costs its own tests
# alone, and says so. Bytecode is left to the first import, which reads a small part of what is installed.
.venv/test-installed: .venv/made pyproject.toml
	$(PIP) --editable '.[dev,cpu,cuda-compiler]'
	@$(PIP) $(ORACLES) || for oracle in $(ORACLES); do \
		$(PIP) $$oracle || echo "oracle $$oracle could not be installed; the tests that need it will be skipped"; \
	done
	@touch $@
