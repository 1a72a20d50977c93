# Thin wrappers: packaging/bootstrap.py does the work, and the set-up on the first start.
PYTHON ?= python3
ARGS ?=

.PHONY: run test check models bench pictures torture robot audit

run test check models bench pictures torture robot audit:
	@$(PYTHON) packaging/bootstrap.py $@ $(ARGS)
