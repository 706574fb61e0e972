# Development build: modules beside the Python sources, no installation.
PYTHON ?= python3
.PHONY: dev
dev:
	cmake -S . -B build/dev -G Ninja -DSONORAY_INPLACE=ON -DSONORAY_TESTS=ON -DPython_EXECUTABLE=$$(command -v $(PYTHON))
	cmake --build build/dev
