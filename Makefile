# Thin wrappers: packaging/bootstrap.py does the work, and the set-up on the first start.
PYTHON ?= python3
ARGS ?=

.PHONY: run test check models bench pictures torture fuzz robot audit installcheck bundle

run test check models bench pictures torture fuzz robot audit installcheck bundle:
	@$(PYTHON) packaging/bootstrap.py $@ $(ARGS)
