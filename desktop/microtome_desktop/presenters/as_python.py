"""The lines of Python that repeat what a panel shows, by the public API where it reaches.

Each function gives lines that end with plain names: ``values``, ``rows``, ``counts`` …; or, as
text, the reason why there are none.
"""

from __future__ import annotations

import json
from typing import Any

from microtome.prompts import Question
from microtome.records.circuit import OUTPUT, UNIT_LAYERS
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome.sites import kind_of
from microtome_desktop.presenters.adapters import ADAPTER
from microtome_desktop.presenters.circuit_view import Rule, View, rule_of
from microtome_desktop.presenters.feature_graph_python import graph_lines
from microtome_desktop.presenters.heatmaps import Quantity
from microtome_desktop.presenters.image_python import UNNAMED, prompt_code, unnamed
from microtome_desktop.presenters.neurons import SHOWN_NEURONS
from microtome_desktop.presenters.node_card import verification_id
from microtome_desktop.presenters.path_python import way_lines
from microtome_desktop.presenters.places import in_place, place_of
from microtome_desktop.presenters.strip import Colouring
from microtome_desktop.presenters.unit_curve import unit_curve
from microtome_desktop.state.history import Past
from microtome_desktop.state.made_by import graph_file, shows_features
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.units import is_unit

Lines = tuple[str, ...]
UNASKED = "The session does not say what was asked, so it cannot be repeated."
_LENS = {Quantity.PROBABILITY: "probability", Quantity.RANK: "rank"}
_DIRECT = {Quantity.ATTENTION: "attention", Quantity.MLP: "mlp"}


def loading(session: Session) -> Lines:
    """The model as the session used it, and the question."""
    model, asked = session.model, session.question
    question = () if asked is None else _question(asked)
    return (opening(model), *question)


def opening(model: ModelIdentity) -> str:
    """The line that opens a model as it was opened; the files of an adapter by their names."""
    call, given = "load_model", [repr(model.name)]
    if model.architecture == ADAPTER:
        told = _told(model)
        names = (told.get("adapter", f"{model.name}.py"), told.get("weights", "model.safetensors"))
        call, given = "load_adapter", [*map(repr, names), "allow_code=True"]
    given += [f"dtype={model.dtype!r}"] if model.dtype != "float32" else []
    given += [f"device={model.device!r}"] if model.device != "cpu" else []
    return f"model = mt.{call}({', '.join(given)})"


def _told(model: ModelIdentity) -> dict[str, Any]:
    """What the session's file says of the model; anything may stand there."""
    try:
        held = json.loads(model.config_json)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def _question(asked: Question) -> Lines:
    named = [(name, getattr(asked, name)) for name in ("corrupt", "answer", "wrong")]
    given = [f"    {name}={prompt_code(value)}," for name, value in named if value is not None]
    given += ["    values_only=True,"] if asked.values_only else []
    given += [f"    seed={asked.seed},"] if asked.seed else []
    return ("question = mt.Question(", f"    {prompt_code(asked.prompt)},", *given, ")")


def lines_of(session: Session, *lines: str, also: Lines = (), numpy: bool = False) -> Lines | str:
    """Lines behind what they need: imports, the model and the question."""
    if session.question is None:
        return UNASKED
    if unnamed(session.question):
        return UNNAMED
    lines = tuple(_examining(session) if line == _EXAMINE else line for line in lines)
    numeric = ("import numpy as np", "") if numpy else ()
    return (*numeric, "import microtome as mt", *also, "", *loading(session), *lines)


def _examining(session: Session) -> str:
    """The run, with as many edges into each node as its circuit kept."""
    held = 32 if session.circuit is None else int(session.circuit.metadata.get("keep", 32))
    return _EXAMINE if held == 32 else _EXAMINE.replace(")", f", edges={held})")


_TRACE = "trace = mt.trace(model, question.prompt)"
_EXAMINE = "session = mt.examine(model, question)"
_CIRCUIT = (_EXAMINE, "circuit = session.circuit")


def tokens_lines(session: Session, by: Colouring, selected: Selected) -> Lines | str:
    """``values`` [position] of the token strip."""
    layer, head, position = selected.layer, selected.head, selected.position
    if by is Colouring.ATTENTION and (layer is None or head is None):
        return "Select a head to see where it looks."
    if by is Colouring.PAIR and session.corrupt is None:
        return "There is no corrupt prompt."
    query = session.metric.get("position", -1) if position is None else position
    last = session.model.n_layers - 1
    shown = last if layer is None else min(max(layer, 0), last)
    lines = {
        Colouring.INFLUENCE: (
            *_CIRCUIT,
            'embeds = np.isin(circuit.node_kind, ("token", "position"))',
            "places, shares = circuit.node_position[embeds], circuit.node_influence[embeds]",
            "values = np.bincount(places, shares, len(session.traces[0].tokens))",
        ),
        Colouring.PREDICTED: (
            _TRACE,
            "logits = trace.logits.astype(np.float64)",
            "powers = np.exp(logits - logits.max(-1, keepdims=True))",
            "odds = powers / powers.sum(-1, keepdims=True)",
            *(_IN_PLACE if in_place(session) else _AS_NEXT),
        ),
        Colouring.ATTENTION: (_TRACE, f"values = trace.attention({layer})[{head}, {query}]"),
        Colouring.NORM: (
            _TRACE,
            f'values = np.linalg.norm(trace.activation("resid_post.{shown}"), axis=-1)',
        ),
        Colouring.PAIR: (
            _TRACE,
            "corrupt = mt.trace(model, question.corrupt)",
            "pairs = zip(trace.tokens, corrupt.tokens)",
            "values = np.array([1.0 if a != b else np.nan for a, b in pairs])",
        ),
    }
    return lines_of(session, *lines[by], numpy=by is not Colouring.ATTENTION)


_AS_NEXT: Lines = (
    "before = np.arange(len(trace.token_ids) - 1)",
    "values = np.concatenate([[np.nan], odds[before, trace.token_ids[1:]]])",
)
_IN_PLACE: Lines = ("values = odds[np.arange(len(trace.token_ids)), trace.token_ids]",)

_EDGE_NAMES = (
    "def ends(circuit):",
    "    ids, kinds = circuit.node_id, circuit.edge_kind",
    "    columns = zip(circuit.edge_source, circuit.edge_target, kinds)",
    "    return [(ids[source], ids[target], int(kind)) for source, target, kind in columns]",
    "",
)


def of_circuit(session: Session, *lines: str, also: Lines = ()) -> Lines | str:
    """Lines about ``circuit``: that of the question, its features, or of a graph's file."""
    if shows_features(session):
        return lines_of(session, *graph_lines(session), *lines, also=also)
    if session.question is not None or not graph_file(session):
        return lines_of(session, *_CIRCUIT, *lines, also=also)
    return ("import microtome as mt", *also, "",
            f"circuit = mt.read_graph({graph_file(session)!r})", *lines)  # fmt: skip


def _pruning(session: Session, view: View) -> tuple[str, Lines]:
    """The line that prunes a circuit as the sliders do, and what it needs besides."""
    rule = Rule.COMPONENTS if session.circuit is None else rule_of(session.circuit)
    shares = f"{view.node_influence}, {view.edge_influence}"
    if rule is Rule.COMPONENTS:
        return f"drawn = mt.prune(circuit, nodes={view.nodes}, edge_share={view.edge_share})", ()
    if rule is Rule.INFLUENCE:
        return f"drawn = mt.prune_by_influence(circuit, {shares})", ()
    needed = "from microtome.circuits.influences import Influences"
    return f"drawn = circuit.select(*Influences.of(circuit).kept({shares}))", (needed,)


def circuit_lines(session: Session, view: View) -> Lines | str:
    """``nodes`` (id, score, influence) and ``edges`` (from, to, kind, weight, influence)."""
    pruning, also = _pruning(session, view)
    return of_circuit(
        session,
        pruning,
        "",
        *_EDGE_NAMES,
        "# The influence within the whole circuit; that of drawn is within what is drawn.",
        "influence = dict(zip(circuit.node_id, circuit.node_influence))",
        "carried = dict(zip(ends(circuit), circuit.edge_influence))",
        "scores = zip(drawn.node_id, drawn.node_score)",
        "nodes = [(name, score, influence[name]) for name, score in scores]",
        "weights = zip(ends(drawn), drawn.edge_weight)",
        "edges = [(*edge, weight, carried[edge]) for edge, weight in weights]",
        also=also,
    )


def listed_lines(session: Session, what: str) -> Lines | str:
    """``rows`` of the whole circuit: its nodes, or its edges."""
    if what == "nodes":
        columns = "circuit.node_id, circuit.node_score, circuit.node_influence"
        return of_circuit(session, f"rows = list(zip({columns}))")
    return of_circuit(
        session,
        "",
        *_EDGE_NAMES,
        "rows = list(zip(ends(circuit), circuit.edge_weight, circuit.edge_influence))",
    )


def heatmap_lines(session: Session, quantity: Quantity) -> Lines | str:
    """``values`` [layer, position]; the lens begins with the embeddings. Of units by name."""
    if quantity is Quantity.UNITS:
        return of_circuit(session, "values = dict(zip(circuit.node_id, circuit.node_score))")
    if quantity in _LENS:
        read = f'values = session.analyses["logit-lens"].array("{_LENS[quantity]}")'
        return lines_of(session, _EXAMINE, read)
    if quantity in _DIRECT:
        read = f'values = session.analyses["direct-attribution"].array("{_DIRECT[quantity]}")'
        return lines_of(session, _EXAMINE, read)
    site = "enc_resid_post" if quantity is Quantity.ENCODER_NORM else "resid_post"
    norm = f'values = np.linalg.norm(trace.activation("{site}"), axis=-1)'
    return lines_of(session, _TRACE, norm, numpy=True)


def attention_lines(session: Session, layer: int, head: int, site: str = "pattern") -> Lines | str:
    """``values`` [query, key]."""
    clean = session.clean
    whole = clean is not None and site in clean.activations
    one = f'trace = mt.trace(model, question.prompt, sites=["{site}.{layer}"])'
    read = f"trace.attention({layer})[{head}]"
    read = read if site == "pattern" else f'trace.activation("{site}.{layer}.{head}")'
    return lines_of(session, _TRACE if whole else one, f"values = {read}")


def neurons_lines(session: Session, layer: int, position: int | None) -> Lines | str:
    """``neurons`` by falling strength, and ``values`` [neuron, position]."""
    clean = session.clean
    inside = clean is not None and position is not None and position < len(clean.tokens)
    strength = f"np.abs(fired[{position}])" if inside else "np.abs(fired).max(axis=0)"
    return lines_of(
        session,
        _TRACE,
        f'fired = trace.activation("mlp_post.{layer}")',
        f"neurons = np.argsort(-{strength}, kind='stable')[:{SHOWN_NEURONS}]",
        "values = fired[:, neurons].T",
        numpy=True,
    )


def histogram_lines(session: Session, site: str, layer: int | None, bins: int) -> Lines | str:
    """``counts`` [bin] and ``edges`` [bin + 1]."""
    name = site if layer is None else f"{site}.{layer}"
    masked = "query" in kind_of(site).axes
    return lines_of(
        session,
        _TRACE,
        f'found = trace.activation("{name}").astype(np.float64).ravel()',
        *(("found = found[found > 0]  # without what the mask hides",) if masked else ()),
        f"counts, edges = np.histogram(found[np.isfinite(found)], bins={bins})",
        numpy=True,
    )


def space_lines(session: Session, site: str, own: bool, points: int) -> Lines | str:
    """``values`` [point, component]; ``own`` for a space of the run's own tokens alone."""
    if own:
        also: Lines = ("from microtome.analysis.placing import own_space",)
        made: Lines = (f'space = own_space(trace, mt.Site.parse("{site}"))',)
    else:
        also = (
            "from microtome.analysis.placing import place",
            "from microtome.analysis.space import feature_space",
            "from microtome.examining import prompt_sets_of",
        )
        made = (
            f'site, sets = mt.Site.parse("{site}"), prompt_sets_of(model)',
            f"space = place(feature_space(model, site, sets, limit={points}), trace)",
        )
    return lines_of(session, _TRACE, *made, 'values = space.array("points")', also=also)


def node_lines(
    session: Session, node: str | None, edge: tuple[str, str, int] | None
) -> Lines | str:
    """``score``, ``influence``, ``bias``, ``incoming`` and ``outgoing``, and what was measured."""
    circuit = session.circuit
    if circuit is None or node is None or node not in circuit.node_id:
        return "No node is selected."
    also: list[str] = []
    lines = [
        f"node = circuit.row({node!r})",
        "score, influence = circuit.node_score[node], circuit.node_influence[node]",
        "bias = circuit.node_bias[node]",
        "ids, weight = circuit.node_id, circuit.edge_weight",
        "into, out = circuit.incoming(node), circuit.outgoing(node)",
        "incoming = [(ids[circuit.edge_source[edge]], weight[edge]) for edge in into]",
        "outgoing = [(ids[circuit.edge_target[edge]], weight[edge]) for edge in out]",
    ]
    measured = [a for a in (node, edge) if a and verification_id(a) in session.analyses]
    why = session.analyses.get(f"why/{node}")
    imports, ways = way_lines(session, node, edge)
    also += imports
    unit = is_unit(circuit, node)
    if measured:
        verify = "from microtome.circuits.verify import ablate_edge, ablate_node"
        also.append("from microtome.vision.alone import ablate_unit" if unit else verify)
    curve = circuit.node_kind[circuit.row(node)] == OUTPUT and unit_curve(session) is not None
    if measured or ways or curve:
        lines.append(_metric(session))
    if measured or ways or curve or why is not None:
        alone = circuit.metadata.get(UNIT_LAYERS) and circuit.metadata.get("corrupt") is None
        pair = "" if alone else "question.pair or "
        lines.append(f"asked = {pair}question.prompt")
    if curve:
        lines.append("curve = mt.channel_faithfulness(model, circuit, asked, metric)")
        lines.append('kept = list(zip(curve.sizes, curve.faithfulness, curve.params["random"]))')
    for about in measured:
        of_node = "ablate_unit" if unit else "ablate_node"
        name = of_node if isinstance(about, str) else "ablate_edge"
        word = "of_node" if isinstance(about, str) else "of_edge"
        lines.append(f"{word} = {name}(model, asked, circuit, {about!r}, metric)")
        lines.append(f'{word} = [{word}.array(name)[()] for name in ("predicted", "true")]')
    if why is not None:
        also.append("from microtome.circuits.why import attention_sources")
        place = ", ".join(str(why.params[key]) for key in ("layer", "head", "query", "key"))
        lines.append(f'why = attention_sources(model, asked, {place}).array("score")')
    lines += ways
    return of_circuit(session, *lines, also=tuple(also))


def _metric(session: Session) -> str:
    held = session.metric
    answer, position = held.get("answer_id"), held.get("position", -1)
    if "wrong_id" in held:
        return f"metric = mt.LogitDifference({answer}, {held['wrong_id']}, {position})"
    return f"metric = mt.LogitOverMean({answer}, {position})"


def predictions_lines(session: Session, position: int | None, count: int) -> Lines | str:
    """``tokens``, ``probabilities`` and ``logits`` of the table, and ``changes`` for a pair."""
    place = max(0, place_of(session, position))
    pair: Lines = (
        "corrupt = mt.trace(model, question.corrupt)",
        f"changes = logits - corrupt.logits[{place}, trace.top_ids[{place}, :{count}]]",
    )
    return lines_of(
        session,
        _TRACE,
        f"tokens = trace.top_tokens[{place}][:{count}]",
        f"probabilities = trace.top_probabilities[{place}, :{count}]",
        f"logits = trace.top_logits[{place}, :{count}]",
        *(pair if session.corrupt is not None else ()),
    )


def runs_lines(runs: tuple[Past, ...]) -> Lines | str:
    """``rows`` of the history: the metric of every run, newest first."""
    asked = [run.session for run in reversed(runs) if run.session.question is not None]
    if not asked:
        return "Nothing was run yet."
    lines: list[str] = ["import microtome as mt", "", "rows = []"]
    for number, session in enumerate(asked):
        before = loading(asked[number - 1])[0] if number else ""
        model, *question = loading(session)
        lines += [*([] if model == before else [model]), *question]
        lines.append('rows.append(mt.examine(model, question).metric["value"])')
    return tuple(lines)
