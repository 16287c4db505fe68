# Everything a developer does here. Needs Python 3.11 or newer, git and make; the rest goes into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The tools see this environment only, whatever was active when make was called.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH
# What a machine sets up for pip holds for uv, which reads other names.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif
# Where nobody says which build of torch this machine takes, it is the CPU's: the others are gigabytes.
ifndef UV_FIND_LINKS
TORCH_BUILD ?= --torch-backend=cpu
endif
UV      = $(BIN)/uv
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
JOBS   ?= 2
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help demo serve test chaos test-ray test-autologging lint format types docs bench bench-ui screenshots ui ui-check lock install clean conformance conformance-client museum

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## train, register, serve and check a model of real data
	@$(BIN)/slipstream demo $(ARGS)

serve: $(VENV)/.run ## start an empty server in this folder (ARGS="--port 5001")
	@$(BIN)/slipstream server $(ARGS)

# Each worker takes half of the files, and later what the other has left: so servers of a file are started once.
test: $(VENV)/.dev ## run all tests (ARGS="tests/unit -k name -m 'not slow'")
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal $(ARGS)

# `make test` has twenty seconds of it, CI two minutes.
chaos: $(VENV)/.dev ## let everything go wrong for a while, and see that nothing is lost (SECONDS=600 SEED=7)
	@$(BIN)/python -m pytest -q -s tests/wire/test_chaos.py --chaos-seconds $(or $(SECONDS),120) --chaos-seed $(or $(SEED),1) --timeout $$(($(or $(SECONDS),120) * 4 + 300)) $(ARGS)

# Apart, since Ray is large and takes half a minute to start.
test-ray: $(VENV)/.ray ## deploy to a real Ray Serve on this machine; installs Ray first
	@$(BIN)/python -m pytest -q tests/ray_serve $(ARGS)

# Apart, since Keras and Lightning are large and slow to import.
test-autologging: $(VENV)/.autologging ## log trainings of all libraries by themselves; installs Keras and Lightning first
	@$(BIN)/python -m pytest -q tests/autologging $(ARGS)

lint: $(VENV)/.dev ## check style, format, the floors and the dependencies
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/lint-imports --no-logo || status=1; \
	$(BIN)/deptry src || status=1; \
	exit $$status

format: $(VENV)/.dev ## fix what lint can fix by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(VENV)/.dev ## check the types of src
	@$(BIN)/basedpyright

docs: $(VENV)/.dev ## build the documentation into docs/_build/html; warnings are errors
	@$(BIN)/python tools/make_settings_page.py
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.run ## measure slipstream, beside MLflow if MLFLOW_PYTHON names its python (ARGS="--only import")
	@$(BIN)/python benchmarks/compare.py $(ARGS)

bench-ui: $(VENV)/.dev ## measure the web pages in Chromium, beside MLflow's if MLFLOW_PYTHON names its python (ARGS="--data FOLDER")
	@$(BIN)/python benchmarks/ui.py $(ARGS)

screenshots: $(VENV)/.dev ## take the pictures of the documentation anew (needs Chromium)
	@$(BIN)/python tools/make_screenshots.py $(ARGS)

conformance: $(VENV)/.dev ## compare a server with recorded answers of MLflow (KIT=folder of the kit)
	@$(BIN)/python tools/conformance.py $(or $(KIT),../shared/conformance)

conformance-client: $(VENV)/.dev ## run the kit's tests of the client on slipstream in mlflow's place (KIT=folder of the kit)
	@$(BIN)/python tools/conformance_client.py $(or $(KIT),../shared/conformance)

museum: $(VENV)/.dev ## keep a database and models of the present schema, for tests of later versions
	@$(BIN)/python tools/make_museum.py

ui: $(VENV)/.run ## build the web pages (needs Node 20.19 or newer, or takes it from PyPI)
	@$(BIN)/python ui/build.py

ui-check: ui ## check types, style and pure functions of the web pages
	@$(BIN)/python ui/build.py --run check
	@$(BIN)/python ui/build.py --run test

install: $(VENV)/.dev ## install everything into .venv

# Not `ray`, which is large and for `make test-ray` only. Neither `transformers` nor `onnx-genai` (tests/llm/requirements.txt has
# them): torch comes from an index of the user's choice, since builds with and without CUDA differ by gigabytes.
LOCKED := cloud data demo imports postgres pyfunc sklearn system webhooks

lock: $(UV) ## renew the pins in dev.lock
	@$(UV) pip compile --quiet --universal --upgrade --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links --python-version 3.11 $(addprefix --extra ,$(LOCKED)) --group dev -o dev.lock pyproject.toml

clean: ## remove what was built; .venv stays
	@rm -rf build dist docs/_build .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# -- the environment: a stamp each, so that a second call installs nothing -----------------------------
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("slipstream needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV) || { echo "No venv module: install python3-venv, or name another Python with PYTHON=..."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c dev.lock uv

$(VENV)/.run: pyproject.toml dev.lock | $(UV)
	@echo "installing slipstream into $(VENV)"
	@$(INSTALL) -c dev.lock -e .
	@touch $@

$(VENV)/.demo: pyproject.toml dev.lock | $(UV)
	@echo "installing slipstream and the demo's libraries into $(VENV)"
	@$(INSTALL) -c dev.lock -e '.[demo]'
	@touch $@

# Without the libraries of language models all else works: their tests say what is missing.
$(VENV)/.dev: pyproject.toml dev.lock tests/llm/requirements.txt tests/libraries/requirements.txt tests/autologging/requirements.txt | $(UV)
	@echo "installing slipstream and its workshop into $(VENV)"
	@$(INSTALL) -r dev.lock -e .
	@[ -e src/slipstream/server/static/index.html ] || \
	  echo "!! the web pages could not be built: their tests will be SKIPPED. To see why: make ui" >&2
	@$(INSTALL) --no-deps --group kserve
	@echo "installing the libraries of language models into $(VENV), for their tests"
	@if $(INSTALL) $(TORCH_BUILD) -c dev.lock -r tests/llm/requirements.txt 2> $(VENV)/llm-failure; then rm $(VENV)/llm-failure; else \
	  cat $(VENV)/llm-failure >&2; \
	  echo "!! tests/llm/requirements.txt could not be installed (above): the tests of language models will be SKIPPED" >&2; fi
	@echo "installing libraries whose trainings are logged into $(VENV), for their tests"
	@if $(INSTALL) -c dev.lock -r tests/autologging/requirements.txt 2> $(VENV)/autologging-failure; then rm $(VENV)/autologging-failure; else \
	  cat $(VENV)/autologging-failure >&2; \
	  echo "!! tests/autologging/requirements.txt could not be installed (above): the tests of these libraries will be SKIPPED" >&2; fi
	@echo "installing libraries that import mlflow into $(VENV), for their tests"
	@if $(INSTALL) $(TORCH_BUILD) -c dev.lock -c tests/llm/requirements.txt -r tests/libraries/requirements.txt 2> $(VENV)/libraries-failure; then \
	  rm $(VENV)/libraries-failure; else cat $(VENV)/libraries-failure >&2; \
	  echo "!! tests/libraries/requirements.txt could not be installed (above): the tests of these libraries will be SKIPPED" >&2; fi
	@touch $@ $(VENV)/.run $(VENV)/.demo

$(VENV)/.autologging: tests/autologging/networks.txt $(VENV)/.dev
	@echo "installing Keras and Lightning into $(VENV)"
	@$(INSTALL) $(TORCH_BUILD) -c dev.lock -r tests/llm/requirements.txt -r tests/autologging/networks.txt
	@touch $@

$(VENV)/.ray: $(VENV)/.dev
	@echo "installing Ray Serve into $(VENV)"
	@$(INSTALL) -c dev.lock -e '.[ray]'
	@touch $@
