# `make help` lists the targets. Variables: PYTHON, TORCH, STACK, VENV, OUT.
PYTHON ?= python3
TORCH ?= torch==2.13.0
# The CPU build is a tenth of the default one; without access to its index, fall back to the default index.
CPU_INDEX := --index-url https://download.pytorch.org/whl/cpu --retries 0 --timeout 15
STACK ?= onedl
VENV ?= .venv
OUT ?= demo_out
WHEELS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tsm_det/wheels

BIN := $(VENV)/bin
RUN := $(BIN)/python
READY := $(VENV)/.ready-$(STACK)-$(subst =,-,$(firstword $(TORCH)))
# The fork and upstream install the same packages from different distributions.
MMCV_onedl := onedl-mmcv==2.3.6
MMCV_openmmlab := mmcv==2.1.0
MMCV := $(MMCV_$(STACK))
MMCV_WHEEL := $(subst ==,-,$(subst -,_,$(MMCV)))
SYNTH := configs/tsm_faster_rcnn_r18_synthvid_gate.py
SYNTH_2D := configs/faster_rcnn_r18_synthvid.py
# Spinning threads slow other programs down, and themselves 20 times on busy cores.
export OMP_WAIT_POLICY ?= PASSIVE
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-fast soak lint docs clean

help:  ## list the targets
	@echo "make TARGET [PYTHON=$(PYTHON)] [TORCH=$(TORCH)] [STACK=onedl|openmmlab] [VENV=$(VENV)] [OUT=$(OUT)]"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14
	@echo "CUDA: make demo TORCH='torch==2.11.0 --index-url https://download.pytorch.org/whl/cu130'"

setup: $(READY)  ## install everything into $(VENV); the first run on a machine compiles mmcv (about 11 minutes)

demo: $(READY) $(OUT)/gate/metrics.json $(OUT)/2d/metrics.json $(OUT)/latency.json $(OUT)/detections.mp4 $(OUT)/side_by_side.gif  ## train the gated memory and 2D on synthetic video, evaluate, compare, draw (about 15 minutes)
	@$(RUN) -m tsm_det.benchmark.demo_report $(OUT)

test: $(READY)  ## run the full test suite (installs the environment first if needed)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 4

test-fast: $(READY)  ## run the fast tests
	$(RUN) -m pytest -m 'not slow'

soak: $(READY)  ## run the long tests: memory, many streams, broken cameras and files, killed processes (30 minutes)
	$(RUN) -m pytest -s tests/soak/soak_*.py

lint: $(READY)  ## run ruff, and mypy on the public modules
	$(BIN)/ruff check .
	$(RUN) -m mypy

docs: $(READY)  ## build the documentation site into build/site; warnings are errors
	OMP_NUM_THREADS=1 $(RUN) -m sphinx -q -W --keep-going -b html docs build/site

clean:  ## remove the output of demo and tests; keep $(VENV), data and work_dirs
	rm -rf $(OUT) build .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(READY): setup.py
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))" || \
	  { echo "error: $$($(PYTHON) --version) is not 3.10 to 3.12: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 2; }
	@test -n "$(MMCV)" || { echo "error: STACK is $(STACK) but must be onedl or openmmlab"; exit 2; }
	@echo "== 1/4 $(VENV) with $(TORCH)"
	rm -f $(VENV)/.ready-*
	test ! -e $(VENV)/.stack -o "$$(cat $(VENV)/.stack 2>/dev/null)" = $(STACK) || rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@echo $(STACK) > $(VENV)/.stack
	$(if $(filter file,$(origin TORCH)),$(BIN)/pip install $(TORCH) $(CPU_INDEX) ||) $(BIN)/pip install $(TORCH)
	$(BIN)/pip install -q numpy 'setuptools<81' wheel ninja psutil packaging
	@echo "== 2/4 $(MMCV), compiled once per torch version, kept in $(WHEELS)"
	@set -e; cache="$(WHEELS)/$$($(RUN) -c 'import torch; print(torch.__version__)')"; \
	tag=$$($(RUN) -c 'import sys; print("cp%d%d" % sys.version_info[:2])'); mkdir -p "$$cache"; \
	if ! ls "$$cache"/$(MMCV_WHEEL)-$$tag-*.whl >/dev/null 2>&1; then \
	  echo "compiling $(MMCV): about 11 minutes on 2 cores"; \
	  part=$$(mktemp -d "$$cache/part.XXXXXX"); trap 'rm -rf "$$part"' EXIT; \
	  MMCV_WITH_OPS=1 $(BIN)/pip wheel -q --no-deps --no-build-isolation --no-cache-dir -w "$$part" $(MMCV); \
	  mv "$$part"/*.whl "$$cache"/; \
	fi; \
	$(BIN)/pip install -q --force-reinstall --no-deps "$$cache"/$(MMCV_WHEEL)-$$tag-*.whl
	@echo "== 3/4 tsm_det[$(STACK),dev]"
	$(BIN)/pip install -q --no-build-isolation -e '.[$(STACK),dev]'
	@# TrackEval names a numpy above the one of OpenCV 4.12, and works with it.
	$(BIN)/pip install -q --no-deps trackeval tabulate
	@echo "== 4/4 OpenCV headless (the default build needs libGL)"
	@version=$$($(BIN)/pip list --format=freeze | sed -n 's/^opencv-python==//p'); \
	$(BIN)/pip install -q --force-reinstall --no-deps "opencv-python-headless$${version:+==$$version}"
	@$(RUN) -W ignore -c 'import tsm_det' 
	@touch $@

# An interrupted training resumes from its last checkpoint; finished steps are not repeated.
$(OUT)/gate/trained: | $(READY)
	$(RUN) tools/train.py $(SYNTH) --amp --work-dir $(@D) --resume
	@touch $@
$(OUT)/2d/trained: | $(READY)
	$(RUN) tools/train.py $(SYNTH_2D) --amp --work-dir $(@D) --resume
	@touch $@
$(OUT)/gate/metrics.json: | $(OUT)/gate/trained
	$(RUN) tools/test.py $(SYNTH) "$$(cat $(@D)/last_checkpoint)" --work-dir $(@D)/test --metrics $@
$(OUT)/2d/metrics.json: | $(OUT)/2d/trained
	$(RUN) tools/test.py $(SYNTH_2D) "$$(cat $(@D)/last_checkpoint)" --work-dir $(@D)/test --metrics $@
$(OUT)/latency.json: | $(OUT)/gate/trained
	$(RUN) tools/benchmark.py $(SYNTH) "$$(cat $(OUT)/gate/last_checkpoint)" --baseline $(SYNTH_2D) --size 128 128 --frames 200 --proposals 100 --json $@
$(OUT)/detections.mp4: | $(OUT)/gate/trained
	$(RUN) tools/detect_video.py $(SYNTH) "$$(cat $(OUT)/gate/last_checkpoint)" data/synthvid/val/000.mp4 --out $@ --json $(OUT)/detections.jsonl
$(OUT)/side_by_side.gif: | $(OUT)/2d/trained $(OUT)/gate/trained
	$(RUN) tools/side_by_side.py data/synthvid/val/019.mp4 --detector 'per-frame (2D)' $(SYNTH_2D) "$$(cat $(OUT)/2d/last_checkpoint)" \
	  --detector 'gated memory' $(SYNTH) "$$(cat $(OUT)/gate/last_checkpoint)" --frames 12 --score-thr 0.4 --fps 2 --out $@
