"""The lines of Python that run the edits of the intervention bench again."""

from __future__ import annotations

from microtome.records.session import Session
from microtome_desktop.presenters.as_python import Lines, lines_of
from microtome_desktop.presenters.edits import effect_ids
from microtome_desktop.presenters.places import place_of
from microtome_desktop.presenters.price import NO_PRICE, OTHER_EDITS, price_in

SIDED = "Copy the lines of the panel Edits: they run the edits, and the trace holds the rest."
_IMPORTS: Lines = (
    "from microtome.interventions.specs import edits_of",
    "from microtome.records.edits import DirectionSpec, EditSpec",
)
_ODDS: Lines = (
    "",
    "def odds(trace, position):",
    "    powers = np.exp(trace.logits[position] - trace.logits[position].max())",
    "    return powers / powers.sum()",
    "",
)


def edits_lines(session: Session, position: int | None = None) -> Lines | str:
    """``values`` [token, without or with] of the tokens that the panel shows, and the traces."""
    specs = [spec for spec in session.marks.edits if spec.on]
    place = place_of(session, position)
    return lines_of(
        session,
        "specs = [",
        *(f"    {spec!r}," for spec in specs),
        "]",
        "before = mt.trace(model, question.prompt)",
        "after = mt.trace(model, question.prompt, edits=edits_of(model, specs))",
        *_ODDS,
        f"tokens = {list(effect_ids(session, position))}",
        f"values = np.array([odds(run, {place})[tokens] for run in (before, after)]).T",
        also=_IMPORTS,
        numpy=True,
    )


def edit_price_lines(session: Session) -> Lines | str:
    """``values`` [task, without or with]: what is right, of the sets that the panel shows."""
    price = price_in(session)
    if price is None:
        return NO_PRICE
    if session.edited is None or session.edited.edits != price.edits:
        return OTHER_EDITS
    specs = [spec for spec in session.marks.edits if spec.on]
    return lines_of(
        session,
        "specs = [",
        *(f"    {spec!r}," for spec in specs),
        "]",
        f"sets = [load_prompt_set(name) for name in {list(price.names)}]",
        f"price = mt.edit_price(model, edits_of(model, specs), sets, limit={price.limit})",
        'values = price.array("right")',
        also=("from microtome.prompt_sets import load_prompt_set", *_IMPORTS),
    )
