"""The lines of Python that repeat what the suite panel shows."""

from __future__ import annotations

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome_desktop.presenters.as_python import UNASKED, Lines, loading
from microtome_desktop.presenters.image_python import prompt_code
from microtome_desktop.state.suites import (
    CircuitsWish,
    Data,
    RemovalWish,
    SuiteWish,
    SwapWish,
    specs_of,
    wish_of,
)


def suite_lines(session: Session, analysis: Analysis) -> Lines | str:
    """``values`` [slice, side]: the pass rates."""
    wish, specs = wish_of(analysis, SuiteWish), specs_of(analysis)
    if wish is None:
        return UNASKED
    edits = (
        ("specs = [", *(f"    {spec!r}," for spec in specs), "]",
         "edits = edits_of(model, specs)")
        if specs else ("edits = []",)
    )  # fmt: skip
    also = (
        "from microtome.interventions.specs import edits_of",
        "from microtome.records.edits import DirectionSpec, EditSpec",
    )
    return (
        "import microtome as mt",
        *(also if specs else ()),
        "from microtome.records.suite_result import suite_of",
        "",
        loading(session)[0],
        _suite(wish.data),
        *edits,
        "found = suite_of(mt.run_suite(model, suite, edits))",
        "values = found.rate",
    )


def circuits_lines(session: Session, analysis: Analysis) -> Lines | str:
    """``values`` [slice, writer, reader]: the scores."""
    wish = wish_of(analysis, CircuitsWish)
    if wish is None:
        return UNASKED
    return (
        "import microtome as mt",
        "from microtome.records.slice_circuits import slice_circuits_of",
        "from microtome.suites.comparing import compare_slices",
        "",
        loading(session)[0],
        _suite(wish.data),
        f"found = slice_circuits_of(mt.slice_circuits(model, suite, {[wish.first, wish.second]}))",
        f"told = compare_slices(found, {wish.first!r}, {wish.second!r})",
        "values = found.scores",
    )


def redundancy_lines(session: Session, analysis: Analysis) -> Lines | str:
    """``values`` [step]: what is kept as parts go."""
    wish = wish_of(analysis, RemovalWish)
    if wish is None:
        return UNASKED
    return (
        "import microtome as mt",
        "from microtome.records.redundancy import redundancy_of",
        "",
        loading(session)[0],
        _suite(wish.data),
        "found = redundancy_of(mt.redundancy(",
        f"    model, suite, parts={list(wish.parts)}, how={wish.how!r},",
        f"    criterion={wish.criterion!r}, threshold={wish.threshold!r},",
        "))",
        "values = found.kept",
    )


def swaps_lines(session: Session, analysis: Analysis) -> Lines | str:
    """``values`` [prompt]: the margins."""
    wish = wish_of(analysis, SwapWish)
    if wish is None:
        return UNASKED
    asked = wish.question
    given = [f"{name}={value!r}" for name, value in wish.asked().items()]
    return (
        "import microtome as mt",
        "from microtome.records.adversarial import adversarial_of",
        "",
        loading(session)[0],
        "found = adversarial_of(mt.adversarial_search(",
        f"    model, {prompt_code(asked.prompt)}, {asked.answer!r}, {asked.wrong!r},",
        f"    {', '.join(given)},",
        "))",
        "values = found.margin",
    )


def _suite(data: Data) -> str:
    limit = "" if data.limit is None else f", limit={data.limit}"
    return f"suite = mt.load_suite({list(data.sources)}{limit})"
