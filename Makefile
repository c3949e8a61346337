# make demo       compare the bundled network with its dual spin system; writes spinnet-report.html
# make test       run the test suite
# make test-slow  run the tests left out of it: calibrations and long simulations
# make clean      remove the virtual environment and the report
#
# The first three make a virtual environment in .venv, once.  PYTHON=... chooses the interpreter for it.

PYTHON ?=
CANDIDATES := python3 python3.13 python3.12 python3.11
VENV := .venv
PIP_INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
INSTALL_INPUTS := pyproject.toml setup.cfg constraints.txt

export MPLBACKEND := Agg

.PHONY: demo test test-slow clean

demo: $(VENV)/spinnet.stamp
	@$(VENV)/bin/spinnet compare

# Each of the two test processes keeps to one thread of linear algebra.
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2

test: $(VENV)/test.stamp
	$(PYTEST) -m 'not slow'

test-slow: $(VENV)/test.stamp
	$(PYTEST) -m slow

clean:
	rm -rf $(VENV) build dist spinnet-report.html

$(VENV)/python.stamp:
	@set -e; \
	found=; \
	for python in $(if $(PYTHON),"$(PYTHON)",$(CANDIDATES)); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found="$$python"; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'spinnet needs Python 3.11 or later, and looked for it as: $(if $(PYTHON),$(PYTHON),$(CANDIDATES))' >&2; \
	  echo 'Install one (Debian 12+, Ubuntu 24.04+: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12' >&2; \
	  exit 2; \
	fi; \
	version=$$("$$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$found (Python $$version) cannot make virtual environments: apt install python3-venv (or python$$version-venv)" >&2; \
	  exit 2; \
	fi; \
	echo "making the virtual environment $(VENV) with $$found (Python $$version)"; \
	"$$found" -m venv --clear $(VENV)
	@touch $@

$(VENV)/spinnet.stamp: $(VENV)/python.stamp $(INSTALL_INPUTS)
	@echo 'installing spinnet (about a minute)'
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/test.stamp: $(VENV)/python.stamp $(INSTALL_INPUTS)
	@echo 'installing spinnet and its test tools (about a minute)'
	@$(PIP_INSTALL) -e '.[test]'
	@touch $(VENV)/spinnet.stamp $@
