"""One question, asked by window, command line and Python: the same bits, and told alike."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from acts import rest, to_front
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome as mt
from microtome.prompts import Question
from microtome.records.sweep import SWEEP, sweep_analysis
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.sweep_requests import RunSweep
from microtome_desktop.state.sweeps import Wish

WAIT = 60_000


def arrays_of(session):
    """Every number of a session by its place, as bytes beside its type and shape."""
    held = {}
    for row, run in enumerate(session.traces):
        held |= {f"{row}/{name}": site.values for name, site in run.activations.items()}
        held[f"{row}/top"] = run.top_probabilities
    circuit = session.circuit
    held |= {name: getattr(circuit, name) for name in ("node_score", "edge_weight", "edge_source")}
    for one in session.analyses.values():  # the id of a sweep is one of its own
        place = SWEEP if one.kind == SWEEP else one.id
        held |= {f"{place}/{name}": array.values for name, array in one.arrays.items()}
    arrays = {name: np.asarray(values[...]) for name, values in held.items()}
    return {name: (str(a.dtype), a.shape, a.tobytes()) for name, a in arrays.items()}


def by_command(folder, question, threads):
    """What a process of the command line saves, with so many threads allowed."""
    path = folder / f"{threads}.h5"
    words = ["--prompt", question.prompt, "--corrupt", question.corrupt]
    words += ["--answer", question.answer, "--wrong", question.wrong]
    drawn = ["--trace-span", "2-3", "--samples", "3", "--by", "position", "--seed", "0"]
    drawn += ["--threads", str(threads)]
    done = subprocess.run(  # our own program
        [sys.executable, "-c", "from microtome.cli import main; raise SystemExit(main())",
         "patch", "--model", "words-4l", *words, *drawn, "--out", str(path)],
        capture_output=True, text=True, check=False, timeout=WAIT / 1000,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return mt.open_session(path)


def by_python(model, question, seed=0):
    """A causal trace by the function that the window and the commands call."""
    metric = mt.LogitDifference(question.answer, question.wrong)
    swept = mt.causal_trace(model, question.prompt, metric, span=(2, 4), samples=3, seed=seed)
    return sweep_analysis(swept)


@pytest.fixture
def by_the_window(live, qtbot):
    """What the window holds after Run was pressed on the keyboard, and a sweep was asked for."""
    to_front(live.window)
    action = live.window.actions_table.actions[CommandId.RUN]
    qtbot.waitUntil(action.isEnabled, timeout=WAIT)
    before = live.desk.workspace.session.uuid
    QTest.keyClick(live.window, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: live.desk.workspace.session.uuid != before, timeout=WAIT)
    question = live.desk.draft.text.question()
    single = Question(question.prompt, None, question.answer, question.wrong)
    live.runner.ask(RunSweep(Wish(single, what="causal", span=(2, 4), samples=3)))
    rest(live, qtbot)
    return live.desk.workspace.session


def swept_in(session):
    """The only sweep of a session."""
    (found,) = (one for one in session.analyses.values() if one.kind == SWEEP)
    return found


def test_window_command_line_and_python_give_the_same_bits(by_the_window, tmp_path):
    question = by_the_window.question
    model = mt.load_model("words-4l")
    made, swept = mt.examine(model, question), by_python(model, question)
    asked = replace(made, analyses={**made.analyses, SWEEP: swept})
    told = arrays_of(asked)
    found = {"window": by_the_window, "command": by_command(tmp_path, question, threads=3)}
    for way, session in found.items():
        held = arrays_of(session)
        both = [name for name in told if name in held]
        assert [name for name in both if held[name] != told[name]] == [], way
        assert len(both) > 50, way  # a file holds fewer sites than memory does
        for one in (asked.circuit, swept_in(asked), asked.analyses["head-scores"]):
            here = session.circuit
            if one is not asked.circuit:
                here = swept_in(session) if one.kind == SWEEP else session.analyses[one.id]
            mine, theirs = mt.provenance(one, asked), mt.provenance(here, session)
            apart = mt.differs(mine, theirs)
            assert not apart.reasons, way
            assert all("threads" in text for text in apart.remarks), way
    assert mt.provenance(swept_in(by_the_window)).seed == 0
    again = by_python(model, question, seed=1)
    assert not np.array_equal(again.array("effects"), swept.array("effects"))
    other = replace(made, analyses={SWEEP: again})
    apart = mt.differs(*(mt.provenance(swept_in(each)) for each in (asked, other)))
    assert apart.reasons == ("What is drawn has other seeds: 0, and 1.",)
