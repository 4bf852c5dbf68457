# make demo: install and search; make test: the same environment with the tests' packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
SOURCES := pyproject.toml constraints.txt CMakeLists.txt \
  $(shell find csrc kernels -name '*.cc' -o -name '*.hpp' -o -name '*.h' -o -name '*.cmake*')

.PHONY: demo test clean

demo: $(VENV)/.installed
	$(BIN)/nasturtium search digits --time 3m --baselines full --out runs/digits --overwrite

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile

# The build's own tools live in the environment too: a changed C++ file then costs one compilation.
# setuptools builds pynauty, which has no wheel; an environment's own may be too old for that.
$(VENV)/.tools: constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) cmake ninja pybind11 scikit-build-core setuptools
	touch $@

$(VENV)/.installed: $(VENV)/.tools $(SOURCES)
	$(PIP) --no-build-isolation --editable '.[onnx]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.tools $(SOURCES)
	$(PIP) --no-build-isolation --editable '.[test]'
	touch $(VENV)/.installed $@

clean:
	rm -rf build dist $(VENV)
