# Two commands for newcomers: `make demo` and `make test`. Each does all its set-up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install -q --python $(BIN)/python
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_PYTHON_DOWNLOADS := never
SOURCES := $(shell find cpp cuda python -type f -not -name '*.so' -not -path '*/__pycache__/*' 2>/dev/null)
# Pinned: another version of a linter or formatter judges the same code differently.
LINTERS := ruff==0.17.5 mypy==2.4.1 'import-linter>=2.1' clang-format==23.1.5
BUILD_TOOLS := 'scikit-build-core>=0.11' 'pybind11>=2.13' 'nanobind>=2.10' 'cmake>=3.24' ninja

.PHONY: help demo test unit lint sanitize embed threads format stubs bench docs dev clean

help:
	@echo "make demo      install into .venv, beamform real and simulated data, write report/index.html"
	@echo "make test      install into .venv, lint, C++ tests under sanitizers, Python tests"
	@echo "make unit | lint | sanitize | embed   the parts of 'make test'"
	@echo "make threads   the C API under the thread sanitizer"
	@echo "make bench     timings against the peers that are installed (bench/README.md)"
	@echo "make docs      the documentation site, into build/site"
	@echo "make format | stubs | dev | clean   for contributors (CONTRIBUTING.md)"

$(VENV)/.tools: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON); set PYTHON=/path/to/python3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: sonoray needs Python 3.11 or newer, found $$($(PYTHON) --version); set PYTHON=..."; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || { echo "make: no C++ compiler found; install g++ or set CXX"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(UV) $(BUILD_TOOLS)
	@touch $@

$(VENV)/.installed: $(VENV)/.tools CMakeLists.txt pyproject.toml $(SOURCES)
	@echo "building and installing sonoray into $(VENV) ..."
	PATH="$(CURDIR)/$(BIN):$$PATH" $(UV) --no-build-isolation --reinstall-package sonoray '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(UV) 'array-api-strict>=2.3' 'pytest>=8' 'pytest-xdist>=3.6' 'hypothesis>=6.100' 'dask[distributed]>=2024.8' 'onnxruntime>=1.20' 'onnx>=1.16' 'scikit-image>=0.24' $(LINTERS)
	-$(UV) 'imageio>=2.34' 'av>=12'
	@$(UV) --no-index --no-deps torch 2>/dev/null && $(UV) torch 'lightning-fabric>=2.4' 'onnxscript>=0.3' || \
	  echo "make: no PyTorch wheel in UV_FIND_LINKS (the index's weighs gigabytes); tests of training are skipped"
	@touch $@

# Networks need ONNX Runtime, the simulation behind an abdominal wall devito; where one cannot be installed the demo
# says so.
$(VENV)/.demo: $(VENV)/.installed
	-$(UV) 'onnxruntime>=1.20'
	-$(UV) 'devito>=4.8.23'
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/sonoray demo -o report
	@echo "open report/index.html"

test: lint sanitize embed unit

unit: $(VENV)/.dev
	$(BIN)/python -m pytest tests -n 2 --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check python tests bench examples docs/_hooks
	$(BIN)/ruff format --check python tests bench examples docs/_hooks
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $$(find cpp cuda tests/cpp -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')
	PYTHONPATH=python $(BIN)/lint-imports

sanitize: $(VENV)/.tools
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DCMAKE_BUILD_TYPE=Debug \
	  -DCMAKE_CXX_FLAGS_DEBUG=-O1 -DSONORAY_PYTHON=OFF -DSONORAY_CUDA=OFF -DSONORAY_TESTS=ON -DSONORAY_SANITIZE=ON \
	  > build-sanitize.log 2>&1 || { cat build-sanitize.log; exit 1; }
	$(BIN)/cmake --build build/sanitize >> build-sanitize.log 2>&1 || { cat build-sanitize.log; exit 1; }
	@rm -f build-sanitize.log
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure

# The C and C++ package, from the objects that the wheel was made of; its examples built against it and run.
embed: $(VENV)/.installed
	@tree=$$(ls -td build/cp*/ 2>/dev/null | head -1); mkdir -p build/embed; \
	test -n "$$tree" || { echo "make: no build/cp*: the wheel's objects are gone; rm $(VENV)/.installed, then again"; exit 1; }; \
	{ $(BIN)/cmake -S . -B $$tree -DSONORAY_PACKAGE=ON -DCMAKE_INSTALL_LIBDIR=lib && \
	  $(BIN)/cmake --build $$tree --target sonoray sonoray_static && \
	  $(BIN)/cmake --install $$tree --component embed --prefix build/embed/install; } \
	  > build/embed.log 2>&1 || { cat build/embed.log; exit 1; }
	CMAKE=$(CURDIR)/$(BIN)/cmake bash .ci/embed build/embed/install

threads: $(VENV)/.tools
	$(BIN)/cmake -S . -B build/threads -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DCMAKE_BUILD_TYPE=Debug \
	  -DCMAKE_CXX_FLAGS_DEBUG=-O1 -DSONORAY_PYTHON=OFF -DSONORAY_CUDA=OFF -DSONORAY_TESTS=ON -DSONORAY_EMBED_ONLY=ON \
	  -DSONORAY_SANITIZE=thread > build-threads.log 2>&1 || { cat build-threads.log; exit 1; }
	$(BIN)/cmake --build build/threads >> build-threads.log 2>&1 || { cat build-threads.log; exit 1; }
	@rm -f build-threads.log
	TSAN_OPTIONS=die_after_fork=0 $(BIN)/ctest --test-dir build/threads --output-on-failure

bench: $(VENV)/.dev
	$(BIN)/python -m bench
	$(BIN)/python bench/rays/bench_eikonal.py

# Nothing is compiled: the reference is read from the sources.
docs: $(VENV)/.tools
	$(UV) 'mkdocs-material>=9.6,<10' 'mkdocstrings[python]>=0.29' 'latex2mathml>=3.77' numpy scipy h5py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: $(VENV)/.dev
	$(BIN)/ruff check --fix python tests bench examples docs/_hooks
	$(BIN)/ruff format python tests bench examples docs/_hooks
	$(BIN)/clang-format -i $$(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh')

stubs: $(VENV)/.dev
	$(UV) 'pybind11-stubgen>=2.5'
	cd /tmp && $(CURDIR)/$(BIN)/pybind11-stubgen sonoray._cpu -o $(CURDIR)/python
	$(BIN)/python -m nanobind.stubgen -q -m sonoray._cuda -o python/sonoray/_cuda.pyi

# Modules beside the Python sources, no installation: edit, `make dev`, run with PYTHONPATH=python.
dev: $(VENV)/.tools
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S . -B build/dev -G Ninja -DSONORAY_INPLACE=ON -DSONORAY_TESTS=ON \
	  -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/dev

clean:
	rm -rf $(VENV) build report
