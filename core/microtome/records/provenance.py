"""What produced a figure, and why two figures cannot be compared: from the records alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from microtome.errors import expect
from microtome.records.analysis import Analysis
from microtome.records.checks import CheckReport
from microtome.records.circuit import Circuit
from microtome.records.made import NOT_TOLD, Made
from microtome.records.neuron_prints import layer_of_neurons
from microtome.records.session import Session
from microtome.records.trace import Trace

Figure: TypeAlias = Analysis | Circuit | Trace

NOTHING = "not told"
# What params and metadata hold beside settings: what came out, and what is told elsewhere.
_OUTCOMES = frozenset({
    "ablated", "base", "cancellation", "complete", "cmd", "cpr", "fingerprint", "kind", "metric",
    "metric_kind", "metric_value", "metric_value_corrupt", "method", "model", "notes", "partial",
    "seconds", "seed", "share", "source", "title", "tokens", "unexplored", "value", "edits",
    "changes", "transcoders_fingerprint", "transcoders_fingerprints", "small_fingerprint",
    "large_fingerprint", "model_fingerprint", "active_features", "completeness_score",
    "replacement_score", "summary", "token_ids",
})  # fmt: skip
# Which way was taken where several lead to other numbers, in the words of whoever took it; and
# where several lead to the same number but for its last digits, such as passes packed together.
_WAYS = ("rule", "how", "coefficients", "approximation", "mode", "ablation")
_ROUTE = "path"
_ASIDE = ("wish", "lacks")  # what a sweep was asked for, once more, and what a model has not
_DRAWS = ("seed", "seeds", "data_seed")
_EDITS = ("edits", "changes")  # of the model, and of features in a graph of them
_PRINT = 12  # letters of a dictionary's fingerprint that are told to a person
_SILENT = "What made them is not told by both: whether they can be compared is for you to say."
_LONG, _MANY = 120, 8  # letters of a setting, and values of a list, that are told


@dataclass(frozen=True, slots=True)
class Provenance:
    """What produced one figure. Empty texts and None are what nobody told.

    ``what`` names the figure, ``method`` how it was computed, ``path`` which way was taken where
    there are several, exact or approximate, and ``route`` which of those that differ in rounding
    alone. ``metric_kind`` is the metric without its words.
    ``seed`` is None where nothing is drawn. ``edits`` acted on the model, or on features of it.
    ``made`` tells model, number format, device, threads and versions, ``dictionaries`` by their
    fingerprints whose features these are: ``neurons.2`` for a layer's own.
    """

    what: str
    method: str
    metric: str = ""
    metric_kind: str = ""
    path: str = ""
    seed: int | None = None
    edits: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    made: Made = NOT_TOLD
    created: str = ""
    route: str = ""
    dictionaries: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Names and texts, in the order in which a person reads them."""
        made, none = self.made, "none" if self.made.told else NOTHING
        versions = ", ".join(f"{name} {each}" for name, each in made.versions.items())
        threads = "" if made.threads is None else f", at most {made.threads} threads"
        threads = ", one thread" if made.threads == 1 else threads
        taken = ", ".join(text for text in (self.path, self.route) if text)
        settings = "; ".join(f"{name} = {_text(value)}" for name, value in self.settings.items())
        return (
            ("figure", self.what),
            ("method", self.method),
            ("metric", self.metric or none),
            ("path taken", taken or ("the only one" if made.told else NOTHING)),
            ("seed", none if self.seed is None else str(self.seed)),
            ("edits", ", ".join(self.edits) or none),
            ("settings", settings or none),
            ("model", f"{made.model} ({made.architecture})" if made.told else NOTHING),
            ("fingerprint", made.fingerprint or NOTHING),
            ("dictionaries", _prints(self.dictionaries)),
            ("number format", made.dtype or NOTHING),
            ("computed on", f"{made.device}{threads}" if made.told else NOTHING),
            ("attention", made.attention or NOTHING),
            ("weights", made.weights or NOTHING),
            ("versions", versions or NOTHING),
            ("made at", self.created or NOTHING),
        )

    @property
    def text(self) -> str:
        """All of it, a line each."""
        widest = max(len(name) for name, _ in self.rows)
        return "\n".join(f"{name:<{widest}}  {text}" for name, text in self.rows)

    def told_plainly(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "what": self.what, "method": self.method, "metric": self.metric,
            "path": self.path, "route": self.route,
            "seed": self.seed, "edits": list(self.edits), "settings": dict(self.settings),
            "created": self.created, "dictionaries": list(self.dictionaries),
            **self.made.told_plainly(),
        }  # fmt: skip


def provenance(figure: Figure, session: Session | None = None) -> Provenance:
    """What produced an analysis, a circuit or a run, as its own record tells it.

    A ``session`` that holds it tells besides what the figure leaves to it: the kind of metric,
    and when and on what a run was made. What nobody told stays empty: nothing is guessed.
    """
    way_out = "Give an analysis, a circuit or a run of a session."
    expect(figure, (Analysis, Circuit, Trace), "figure", "an Analysis, Circuit or Trace", way_out)
    if isinstance(figure, Trace):
        return _of_run(figure, session)
    if isinstance(figure, Analysis):
        return _told_by(figure.params, figure.title, figure.kind, figure.made, figure.created,
                        session)  # fmt: skip
    told = figure.metadata
    created = "" if session is None else session.created
    return _told_by(told, "Circuit", str(told.get("format", "")), figure.made, created, session)


def _of_run(run: Trace, session: Session | None) -> Provenance:
    versions = dict(run.model.versions)
    settings = {"prompt": run.prompt, "tokens": len(run.token_ids)}
    return Provenance(
        what="Run", method="one pass of the model, activations kept", path="exact",
        edits=run.edits, settings=settings, made=Made.on(run.model),
        created="" if session is None or not versions else session.created,
    )  # fmt: skip


def _told_by(
    told: Mapping[str, Any],
    what: str,
    kind: str,
    made: Made | None,
    created: str,
    session: Session | None,
) -> Provenance:
    told = _flat(told)
    metric = told.get("metric", "")
    name = metric if isinstance(metric, str) else _text(metric)
    counted = ("features",) if "active_features" in told else ()  # of a graph; else a setting
    aside = {*_OUTCOMES, *_WAYS, _ROUTE, *counted}
    settings = {
        key: _shortened(value) for key, value in told.items()
        if key not in aside and value is not None
    }  # fmt: skip
    ways = [f"{told[key]}" for key in _WAYS if isinstance(told.get(key), str) and told[key]]
    seed = next((told[key] for key in _DRAWS if isinstance(told.get(key), int)), None)
    edits = [str(one) for key in _EDITS if isinstance(told.get(key), list | tuple)
             for one in told[key]]  # fmt: skip
    return Provenance(
        what=what, method=str(told.get("method") or kind), metric=name,
        metric_kind=str(told.get("metric_kind") or _kind_in(session, name)),
        path=", ".join(dict.fromkeys(ways)), seed=seed,
        edits=tuple(edits),
        settings=MappingProxyType(settings), made=NOT_TOLD if made is None else made,
        created=created, route=_text(told.get(_ROUTE, "")), dictionaries=_dictionaries(told),
    )  # fmt: skip


def _dictionaries(told: Mapping[str, Any]) -> tuple[str, ...]:
    """Fingerprints of the dictionaries that a record names, in its order.

    Neurons are told without the model that they are of: that one has its own fingerprint.
    """
    found = told.get("transcoders_fingerprints")
    if not isinstance(found, list | tuple):
        ends = ("transcoders_fingerprint", "small_fingerprint", "large_fingerprint")
        found = [told.get(name) for name in ends]
        if "dictionary" in told:  # labels name it by its fingerprint; else that is of the model
            found.append(told.get("fingerprint", told["dictionary"]))
    named = [each for each in found if isinstance(each, str) and each]
    layers = [layer_of_neurons(each) for each in named]
    return tuple(
        each if layer is None else f"neurons.{layer}"
        for each, layer in zip(named, layers, strict=True)
    )


def _prints(dictionaries: tuple[str, ...]) -> str:
    return ", ".join(each[:_PRINT] for each in dictionaries) or "none"


def _flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are kept together among the others; those outside count."""
    groups = (each for key, each in told.items() if key not in _ASIDE)
    inner = {
        key: each for group in groups if isinstance(group, Mapping) for key, each in group.items()
    }
    return {**inner, **{key: each for key, each in told.items() if not isinstance(each, Mapping)}}


def _kind_in(session: Session | None, metric: str) -> str:
    same = session is not None and session.metric.get("name") == metric
    return str(session.metric.get("kind", "")) if same and session is not None else ""


def _shortened(value: Any) -> Any:
    """A setting as it is told: of a long list how long it is."""
    plain = (str, int, float, bool)
    if isinstance(value, list | tuple):
        short = len(value) <= _MANY and all(isinstance(each, plain) for each in value)
        return list(value) if short else f"{len(value)} of them"
    return value if isinstance(value, plain) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    text = str(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


@dataclass(frozen=True, slots=True)
class Differences:
    """``reasons`` why two figures cannot be compared, and ``remarks`` to be told beside them."""

    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it in one line, empty where there is none."""
        return " ".join((*self.reasons, *self.remarks))


def differs(one: Provenance, other: Provenance, checks: CheckReport | None = None) -> Differences:
    """What differs between what produced two figures, in a way that matters.

    Another model, number format, kind of metric, method, path taken, edits, other dictionaries, or
    another seed where something is drawn are reasons not to compare. Two checkpoints of one model
    (the same architecture and tokenizer, and the same name up to the ``@``) are compared for
    their own sake, which is remarked; so are other devices, threads and versions, with the
    tolerance that the self-checks allow. Where a figure does not tell what produced it all is
    remarks.
    """
    for name, given in (("one", one), ("other", other)):
        expect(given, Provenance, name, "a Provenance", "Ask provenance(figure, session) for it.")
    reasons: list[str] = []
    remarks: list[str] = []
    _of_models(one.made, other.made, reasons, remarks)
    for word, mine, theirs in (
        ("methods", one.method, other.method),
        ("kinds of metric", one.metric_kind, other.metric_kind),
        ("paths taken", one.path, other.path),
    ):
        if mine and theirs and mine != theirs:
            reasons.append(f"The {word} differ: {mine}, and {theirs}.")
    if one.edits != other.edits:
        acting = (", ".join(each.edits) or "none" for each in (one, other))
        reasons.append("Other edits act: {}, and {}.".format(*acting))
    ours, others = one.dictionaries, other.dictionaries
    if ours and others and ours != others:
        reasons.append(f"Other dictionaries made the features: {_unlike(ours, others)}.")
    if None not in (one.seed, other.seed) and one.seed != other.seed:
        reasons.append(f"What is drawn has other seeds: {one.seed}, and {other.seed}.")
    if not (one.made.told and other.made.told):
        return Differences((), (_SILENT, *reasons))
    return Differences(tuple(reasons), (*remarks, *_of_machines(one.made, other.made, checks)))


def _unlike(mine: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """Two lists of fingerprints, told by the first pair that differs; or how many there are."""
    if len(mine) != len(theirs):
        return f"{len(mine)}, and {len(theirs)}"
    places = (at for at, one in enumerate(mine) if one != theirs[at])
    at = next(places)
    place = f" at place {at + 1} of {len(mine)}" if len(mine) > 1 else ""
    return f"{mine[at][:_PRINT]}, and {theirs[at][:_PRINT]}{place}"


def rivals_differ(one: Provenance, other: Provenance) -> tuple[str, ...]:
    """Why results of rival methods cannot stand beside each other.

    Among rivals only the method may differ: the reasons are those of ``differs`` for all else, and
    two checkpoints are two models. Where nobody told what produced one there are none.
    """
    checkpoints: list[str] = []
    _of_models(one.made, other.made, [], checkpoints)
    first, second = (replace(each, method="") for each in (one, other))
    return (*differs(first, second).reasons, *checkpoints)


def differ_among(figures: Iterable[Provenance]) -> Differences:
    """What differs between the first of several figures and any of the others, each once."""
    first, *others = figures
    found = [differs(first, other) for other in others]
    reasons = dict.fromkeys(text for each in found for text in each.reasons)
    return Differences(tuple(reasons), tuple(dict.fromkeys(t for f in found for t in f.remarks)))


def _of_models(one: Made, other: Made, reasons: list[str], remarks: list[str]) -> None:
    if not (one.told and other.told):
        return
    if one.fingerprint != other.fingerprint:
        names = f"{_named(one)}, and {_named(other)}"
        if _checkpoints(one, other):
            remarks.append(f"Two checkpoints are compared: {names}.")
        else:
            reasons.append(f"Other models made them: {names}.")
    if one.dtype != other.dtype:
        reasons.append(f"The number formats differ: {one.dtype}, and {other.dtype}.")


def _named(made: Made) -> str:
    return f"{made.model} ({made.fingerprint[:8]})"


def _checkpoints(one: Made, other: Made) -> bool:
    """Whether both are of one training: checkpoints are named ``words-4l@500``."""
    if one.model == other.model:  # a folder in which other weights lie by now
        return False
    alike = (one.architecture, one.tokenizer) == (other.architecture, other.tokenizer)
    return alike and one.model.partition("@")[0] == other.model.partition("@")[0]


# What is remarked, and the self-check whose tolerance tells how far such numbers come apart.
_DEVICE, _ORDER = 11, 7


def _of_machines(one: Made, other: Made, checks: CheckReport | None) -> list[str]:
    remarks = []
    if one.device != other.device:
        remarks.append(f"Computed on {one.device} and {other.device}{_within(checks, _DEVICE)}.")
    elif None not in (one.threads, other.threads) and one.threads != other.threads:
        apart = f"Computed on at most {one.threads} and {other.threads} threads"
        remarks.append(f"{apart}: the last digits may differ{_within(checks, _ORDER)}.")
    if one.attention != other.attention:
        remarks.append(f"Attention is computed by {one.attention} and {other.attention}.")
    changed = [
        f"{name} {one.versions[name]} and {other.versions[name]}"
        for name in one.versions
        if other.versions.get(name, one.versions[name]) != one.versions[name]
    ]
    if changed:
        remarks.append(f"Other versions: {', '.join(changed)}.")
    return remarks


def _within(checks: CheckReport | None, number: int) -> str:
    """How far logits may come apart by it, as a self-check allows and has measured."""
    held = () if checks is None else checks.results
    row = next((each for each in held if each.number == number), None)
    if row is None or row.allowed is None:
        return ""
    measured = "" if row.measured is None else f", {row.measured:.1g} was measured"
    return f" (self-check {number} allows {row.allowed:.1g} of a logit{measured})"
