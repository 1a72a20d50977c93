"""The lines of Python that repeat a sweep."""

from __future__ import annotations

from microtome.records.edits import EditSpec
from microtome.records.session import Session
from microtome_desktop.presenters.as_python import UNASKED, Lines, loading
from microtome_desktop.presenters.image_python import prompt_code
from microtome_desktop.state.sweeps import BY_POSITION, MEAN, NO_ANSWER, NOISING, Wish, mean_over

_CLASSES = {
    "kl": "mt.KL", "loss": "mt.Loss", "log-probability": "mt.LogProbability",
    "probability": "mt.Probability", "rank": "mt.Rank",
}  # fmt: skip
# Of ``held`` the pairs of the commonest length; a ``model`` is there.
ONE_LENGTH = (
    "lengths = [len(model.tokenize(one.clean)) for one in held]",
    "length = max(lengths, key=lengths.count)",
    "held = [one for one, tokens in zip(held, lengths) if tokens == length]",
)


def sweep_lines(session: Session, wish: Wish | None) -> Lines | str:
    """``sweep``, and ``values`` with the axes of its table: the effects."""
    if wish is None or (wish.question is None and not wish.data):
        return UNASKED
    sets = ("from microtome.prompt_sets import load_prompt_set",) if wish.data or wish.over else ()
    return (
        "import microtome as mt",
        *sets,
        "",
        loading(session)[0],
        *sweep_call(session, wish),
        "values = sweep.effects",
    )


def sweep_call(session: Session, wish: Wish) -> Lines:
    """``sweep``, made with a ``model``."""
    return (
        *_asked(wish),
        f"metric = {metric_text(wish, int(session.metric.get('position', -1)))}",
        f"sweep = mt.{_function(wish)}(",
        *(f"    {line}," for line in _arguments(wish)),
        ")",
    )


def _function(wish: Wish) -> str:
    if wish.row.causal:
        return "causal_trace"
    return "ablation_sweep" if wish.ablates else "patching_sweep"


def _asked(wish: Wish) -> Lines:
    alone = wish.ablates or wish.row.causal
    if wish.data:
        some = f"[:{wish.count}]" if wish.count else ""
        each = "one.clean" if alone else "one.pair"
        by_position = wish.row.by in BY_POSITION
        return (
            f"held = load_prompt_set({wish.data!r}).pairs",
            *(ONE_LENGTH if by_position else ()),
            *((f"held = held{some}",) if some else ()),
            f"asked = [{each} for one in held]",
        )
    if wish.question is None:
        return ()
    prompt = prompt_code(wish.question.prompt)
    if alone:
        return (f"asked = {prompt}",)
    return (f"asked = mt.PromptPair(\n    {prompt},\n    {prompt_code(wish.question.corrupt)},\n)",)


def metric_text(wish: Wish, at: int) -> str:
    """The metric as Python writes it, read at a position; for a set one for each pair."""
    kind, question = _CLASSES.get(wish.metric, ""), wish.question
    there = [] if at < 0 or wish.data or wish.metric == "loss" else [f"position={at}"]
    if wish.metric in NO_ANSWER:
        return f"{kind}({', '.join(there)})"
    if wish.data:
        about = f"{kind}(one.answer)" if kind else "mt.LogitDifference(one.answer, one.wrong)"
        return f"[{about} for one in held]"
    if question is None or question.answer is None:
        return "None"
    words = [question.answer, *([] if question.wrong is None or kind else [question.wrong])]
    plain = "mt.LogitOverMean" if question.wrong is None else "mt.LogitDifference"
    return f"{kind or plain}({', '.join([*map(repr, words), *there])})"


def _over(wish: Wish) -> str:
    name = wish.over or wish.data
    if name:
        fits = ""
        if EditSpec(wish.row.site, MEAN).of_one_length:
            first = "asked[0]" if wish.data else "asked"
            fits = f" if len(model.tokenize(one.clean)) == len(model.tokenize({first}))"
        return f"[one.clean for one in load_prompt_set({name!r}).pairs{fits}]"
    return repr(list(mean_over(wish)))


def _arguments(wish: Wish) -> Lines:
    row = wish.row
    if row.causal:
        return (
            "model", "asked", "metric", f"span={wish.span!r}", f"kind={row.site!r}",
            f"noise={wish.noise!r}", f"samples={wish.samples}", f"seed={wish.seed}",
        )  # fmt: skip
    asked = "[asked]" if wish.ablates and not wish.data else "asked"
    given = ["model", asked, "metric", f"kind={row.site!r}", f"by={row.by!r}"]
    given += [f"layer={wish.layer}"] if wish.layer is not None else []
    if wish.ablates:
        given.append(f"how={wish.mode!r}")
        if wish.mode == MEAN:
            given.append(f"over={_over(wish)}")
    elif wish.mode == NOISING:
        given.append("noising=True")
    given += ["align=True"] if wish.align and not wish.ablates else []
    given += [f"seed={wish.seed}"] if wish.seed else []
    return tuple(given)
