"""No self-check stands in the table that no break turns red: counted from what went red."""

from __future__ import annotations

import pytest
from red_checks import SEEN

from microtome.selfcheck.suite import CHECKS

# The files whose tests break something; all of them run before this one, by their names.
BREAKS = {"test_selfcheck_breaks.py", "test_selfcheck_stored.py", "test_selfcheck_sweeps.py"}
CHOSEN = ("keyword", "deselect", "lf")  # options that leave tests out


def left_out(request: pytest.FixtureRequest) -> str:
    """Why not all breaks were tried before, empty when they were."""
    config, items = request.config, request.session.items
    before = {each.path.name for each in items[: items.index(request.node)]}
    if missing := sorted(BREAKS - before):
        return f"{', '.join(missing)} did not run before"
    options = [name for name in CHOSEN if config.getoption(name, None)]
    if options or any("::" in each for each in config.args):
        return f"only some tests were chosen ({', '.join(options) or 'by name'})"
    return ""


def test_every_check_was_turned_red_by_some_break(request):
    if reason := left_out(request):
        pytest.skip(f"{reason}: a check may stay green for want of its break")
    assert {check.number for check in CHECKS} <= SEEN
