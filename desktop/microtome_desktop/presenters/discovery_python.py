"""The lines of Python that repeat a search for a circuit."""

from __future__ import annotations

from microtome.records.session import Session
from microtome_desktop.presenters.as_python import UNASKED, Lines, loading
from microtome_desktop.presenters.image_python import prompt_code
from microtome_desktop.presenters.sweep_python import ONE_LENGTH, metric_text
from microtome_desktop.state.discoveries import WITH_STEPS, WITH_TAU, Search, mean_over
from microtome_desktop.state.sweeps import Wish


def discovery_lines(session: Session, search: Search | None) -> Lines | str:
    """``circuit`` and ``curve``, and ``values``: the scores of all edges."""
    if search is None or (search.question is None and not search.data):
        return UNASKED
    sets = search.data or ("mean" in search.ablation and search.over)
    return (
        "import microtome as mt",
        *(("from microtome.prompt_sets import load_prompt_set",) if sets else ()),
        "",
        loading(session)[0],
        *_asked(search),
        f"metric = {_metric(session, search)}",
        f"how = {_how(search)}",
        f"circuit = mt.discover_circuit(model, asked, metric, {_method(search)}, **how)",
        "curve = mt.faithfulness(model, circuit, asked, metric, **how)",
        "values = circuit.edge_weight",
    )


def _asked(search: Search) -> Lines:
    if search.data:
        some = f"[:{search.count}]" if search.count else ""
        return (
            f"held = load_prompt_set({search.data!r}).pairs{'' if search.by_position else some}",
            *(ONE_LENGTH if search.by_position else ()),
            *((f"held = held{some}",) if some and search.by_position else ()),
            "asked = [one.pair for one in held]",
        )
    question = search.question
    if question is None or question.corrupt is None:
        return (f"asked = [{prompt_code(None if question is None else question.prompt)}]",)
    clean, corrupt = prompt_code(question.prompt), prompt_code(question.corrupt)
    return (f"asked = [mt.PromptPair(\n    {clean},\n    {corrupt},\n)]",)


def _metric(session: Session, search: Search) -> str:
    at = int(session.metric.get("position", -1))
    return metric_text(Wish(search.question, metric=search.metric, data=search.data), at)


def _how(search: Search) -> str:
    given = [f"ablation={search.ablation!r}"]
    if "mean" in search.ablation:
        name = search.over or search.data
        over = f"[one.clean for one in load_prompt_set({name!r}).pairs]" if name else ""
        given.append(f"over={over or repr(list(mean_over(search)))}")
    return f"dict({', '.join(given)})"


def _method(search: Search) -> str:
    given = [repr(search.method)]
    given += [f"steps={search.steps}"] if search.method in WITH_STEPS else []
    given += [f"tau={search.tau!r}"] if search.method in WITH_TAU else []
    given += ["by_position=True"] if search.by_position else []
    return ", ".join(given)
