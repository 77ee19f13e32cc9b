# Everything runs in an environment of its own, made on first use from constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo quick test cluster stores fuzz processors kill changed-inputs full-disk device formats mujoco lint bench examples docs check-devkit clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(STAMP)  ## make the environment and install what is missing

$(STAMP): pyproject.toml constraints.txt tools/system_libraries.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps litdata  # it asks for a torchvision that torch's CPU build lacks
	bash tools/system_libraries.sh $(BIN)/python
	touch $(STAMP)

demo: $(STAMP)  ## make a small log, augment it, check it, draw it: see out/demo/demo.png
	rm -rf out/demo
	$(BIN)/fusion-aug demo out/demo

quick: $(STAMP)  ## tests that meet every package once, in less than a minute on two cores
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -m quick -n 2 --dist worksteal

test: $(STAMP)  ## run all tests
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist worksteal  # waiting threads must not spin on the other worker's core

cluster: $(STAMP)  ## tests of Ray clusters and object stores, whose workers, nodes, drivers and answers are lost
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -m cluster

stores: $(STAMP)  ## runs into an object store here: 21 keyframes, killed five times, lost puts, 100 races
	OMP_NUM_THREADS=1 $(BIN)/python tools/stores.py

fuzz: $(STAMP)  ## damaged files, outputs and command lines, 20,000 of them, and bombs made by hand
	$(BIN)/python tools/fuzz.py --cases 20000

processors: $(STAMP)  ## the same results on the code paths of other processors
	$(BIN)/python tools/processors.py
	MKL_CBWR=COMPATIBLE $(MAKE) quick
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -m quick -n 2 --dist worksteal --rounding "by shape"

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

kill: $(STAMP)  ## kill runs, replays and checks at every event of the file system, searches at random moments, and give their commands again
	OMP_NUM_THREADS=1 $(BIN)/python tools/kill.py
	OMP_NUM_THREADS=1 $(BIN)/python tools/kill_search.py

device:  ## on a machine with a GPU, by its own python3: values, waits and speed of batches there; writes benchmarks/device-CARD.json
	OMP_NUM_THREADS=1 python3 tools/device.py

changed-inputs: $(STAMP)  ## change a file of every kind under runs of every format
	OMP_NUM_THREADS=1 $(BIN)/python tools/changed_inputs.py

full-disk: $(STAMP)  ## run every format on disks of 20 sizes that are too small
	OMP_NUM_THREADS=1 $(BIN)/python tools/full_disk.py

formats: $(STAMP)  ## make logs by lerobot, h5py, tensorflow-datasets and zarr 2, in environments of their own, and compare
	$(BIN)/python tools/formats.py

mujoco: $(STAMP)  ## tests of simulators and of the arm on other versions of MuJoCo, beside the installed one
	for v in 3.3.7 3.10.0 4.0.0; do \
	  $(BIN)/pip install -q --upgrade --no-deps --target out/mujoco-$$v mujoco==$$v $$(case $$v in 4*) echo mujoco-core==$$v;; esac) && \
	  PYTHONPATH=out/mujoco-$$v OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/sim tests/synth/test_arm.py tests/synth/test_arm_parcels.py || exit 1; done

bench: $(STAMP)  ## measure speed against primitives: benchmarks/results.json and a table
	$(BIN)/python -m benchmarks

examples: $(STAMP)  ## train with and without augmentation, and test in bad conditions: the tables of docs/example_*.md
	OMP_NUM_THREADS=1 $(BIN)/python examples/train_fusion.py
	OMP_NUM_THREADS=1 $(BIN)/python examples/train_touch_policy.py

docs: $(STAMP)  ## write the generated tables of README.md and docs/
	$(BIN)/python tools/tables.py

check-devkit: $(STAMP)  ## open an augmented log in the official nuscenes-devkit, in an environment of its own
	bash tools/check_devkit.sh $(BIN)/python

clean:  ## remove the environment and all outputs
	rm -rf $(VENV) .venv-devkit out
