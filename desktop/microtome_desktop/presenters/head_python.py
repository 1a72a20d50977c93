"""The lines of Python that repeat the table of heads."""

from __future__ import annotations

from microtome.records.session import Session
from microtome_desktop.presenters.as_python import UNASKED, Lines, loading
from microtome_desktop.presenters.head_effects import EFFECTS, effect_in, wish_for
from microtome_desktop.presenters.head_table import DIRECT, SCORES
from microtome_desktop.presenters.sweep_python import sweep_call
from microtome_desktop.state.sweeps import Wish

_ARRAYS = {"score": "detected", "on_prompt": "detected_here"}


def heads_lines(session: Session) -> Lines | str:
    """What the session knows of its heads, each [layer, head].

    ``detected`` and ``detected_here`` are mappings from the detectors' names; ``direct``,
    ``patching`` and ``ablation`` are arrays.
    """
    if session.question is None:
        return UNASKED
    lines = ["import microtome as mt", "", *loading(session), "found = mt.examine(model, question)"]
    return (*lines, *_detected(session), *_direct(session), *_effects(session))


def _detected(session: Session) -> Lines:
    held = session.analyses.get(SCORES)
    if held is None:
        return ()
    reads = [
        f'{name} = dict(zip(scores.params["detectors"], scores.array("{array}")))'
        for array, name in _ARRAYS.items()
        if array in held.arrays
    ]
    return (f'scores = found.analyses["{SCORES}"]', *reads)


def _direct(session: Session) -> Lines:
    there = DIRECT in session.analyses
    return (f'direct = found.analyses["{DIRECT}"].array("heads")',) if there else ()


def _effects(session: Session) -> Lines:
    lines: list[str] = []
    for effect in EFFECTS:
        wish = wish_for(session, effect)
        if isinstance(wish, Wish) and effect_in(session, effect) is not None:
            lines += ["", *sweep_call(session, wish), f"{effect.name} = sweep.effects"]
    return tuple(lines)
