"""The lines of Python that repeat what the training panel shows."""

from __future__ import annotations

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome_desktop.presenters.as_python import UNASKED, Lines, loading
from microtome_desktop.state.trainings import wish_of


def training_lines(session: Session, analysis: Analysis) -> Lines | str:
    """``values`` [point]: the loss."""
    wish = wish_of(analysis)
    if wish is None or not wish.text:
        return UNASKED
    options = {name: value for name, value in wish.options().items() if value is not None}
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    text = repr(wish.text)
    if wish.field:
        text = f"mt.read_corpus({text}, {wish.field!r})"
    elif wish.images:
        text = f"mt.load_image_set({text})"
    if wish.is_set:
        at = 0
        reads = analysis.params.get("reads", [])
        if len(reads) == 1:
            at = int(str(reads[0]).rpartition(".")[2])
        asked = f"train_transcoders(model, {text}, {wish.form!r},"
        curve = f"curve = found.curves[{at}]"
    else:
        sites = ", ".join(repr(each) for each in wish.sites if each is not None)
        asked, curve = f"train_dictionary(model, {text}, {sites},", "curve = found.curve"
    return (
        "import microtome as mt", "", loading(session)[0], f"found = mt.{asked}",
        f"    {given})", curve, "values = curve.loss",
    )  # fmt: skip
