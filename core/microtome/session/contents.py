"""A session record as the parts of its file, and how large each will be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from microtome.errors import ModelMismatch, StorageError
from microtome.prompts import ImageInput, Prompt, Question, plain_prompt
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.made import Made
from microtome.records.marks import Marks
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome.session.annotations import ANNOTATIONS, annotations_part
from microtome.session.dictionaries import DICTIONARIES, dictionaries_part
from microtome.session.parts import GroupBuilder, Part, Scale
from microtome.session.pictures import image_reference, images_part
from microtome.session.plots import PLOTS, plot_part
from microtome.session.schema import EDITED, IMAGES, ROOT_DIMS, creator, fixed_text, safe_name
from microtome.session.trace_parts import (
    DEFAULT_SITES,
    LOGITS,
    edited_parts,
    logits_part,
    site_parts,
    source_part,
    token_part,
)
from microtome.sites import kind_of

ANALYSIS = "analysis/"  # before the id, in names of sections
_LARGE = 1 << 20
_NODE_NUMBERS = ("layer", "position", "head", "feature")
_NODE_VALUES = ("score", "influence", "bias")


def wanted_sites(include: Iterable[str] | None) -> frozenset[str]:
    """The default sites and those named besides; ``logits`` asks for all logits.

    Raises InputError for a name that is no site.
    """
    more = {name if name == LOGITS else kind_of(name).name for name in include or ()}
    return frozenset(DEFAULT_SITES) | more


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What is written together, and anew when one of its ``sources`` is another one.

    ``make`` gives its parts, ``paths`` are the groups that hold it and nothing else. A
    ``settled`` section is large: where it changes a whole file is written.
    """

    name: str
    sources: tuple[object, ...]
    make: Callable[[], Iterable[Part]]
    paths: tuple[str, ...] = ()
    settled: bool = False


def session_parts(session: Session, include: Iterable[str] | None = None) -> Iterator[Part]:
    """All parts of a session's file, small ones first.

    What already lies in a session file is always kept. Raises ModelMismatch when a run was made
    by another model, InputError for an unknown site, StorageError for what no file can hold.
    """
    for section in sections(session, include):
        yield from section.make()


def sections(
    session: Session,
    include: Iterable[str] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[Section]:
    """All sections of a session's file, small ones first.

    ``names`` are those of the groups of analyses that a file has already, by id. Raises what
    ``session_parts`` raises, but for what only making the parts shows.
    """
    wanted = wanted_sites(include)
    edited = () if session.edited is None else (session.edited,)
    _expect_one_model(session, (*session.traces, *edited))
    root = _root_lengths(session)
    return [
        *_question_sections(session, root),
        *_result_sections(session, root, names or {}),
        *_user_sections(session, root),
        *_run_sections(session, root, wanted),
    ]


def _question_sections(session: Session, root: Mapping[str, int]) -> Iterator[Section]:
    edited = () if session.edited is None else (session.edited,)
    lengths = tuple(root.items())
    model = (session.model, session.checks, dict(session.versions))
    question = (session.question, dict(session.metric))
    images = (session.question, *session.traces, *edited)
    yield Section("axes", (lengths,), lambda: [_axes_part(root)], settled=True)
    yield Section("model", model, lambda: [_model_part(session, root)], ("/model",))
    yield Section("question", question, lambda: [_question_part(session, root)], ("/question",))
    yield Section("images", images, lambda: _given(images_part(session, root)), (IMAGES,))
    yield Section("tokens", session.traces, lambda: _token_parts(session, root), settled=True)


def _result_sections(
    session: Session, root: Mapping[str, int], names: Mapping[str, str]
) -> Iterator[Section]:
    circuit = session.circuit
    if circuit is not None:
        yield Section("circuit", (circuit,), lambda: [_circuit_part(circuit, root)], ("/circuit",))
    yield from _analysis_sections(session.analyses, root, names)
    used = session.dictionaries
    if used:
        yield Section(
            "dictionaries", used, lambda: [dictionaries_part(used, root)], (DICTIONARIES,)
        )


def _user_sections(session: Session, root: Mapping[str, int]) -> Iterator[Section]:
    marks, view = session.marks, session.view
    if marks != Marks():
        yield Section(
            "annotations", (marks,), lambda: [annotations_part(marks, root)], (ANNOTATIONS,)
        )
    if view:
        yield Section("view", (dict(view),), lambda: [_view_part(session, root)], ("/view",))


def _run_sections(
    session: Session, root: Mapping[str, int], wanted: frozenset[str]
) -> Iterator[Section]:
    if not session.traces:
        return
    sources = (*session.traces, wanted)
    yield Section("runs", sources, lambda: _run_parts(session, root, wanted), settled=True)
    run = session.edited
    if run is not None:
        yield Section("edited", (run, wanted), lambda: edited_parts(run, root, wanted), (EDITED,))


def _expect_one_model(session: Session, traces: Iterable[Trace]) -> None:
    for trace in traces:
        if trace.model.fingerprint != session.model.fingerprint:
            raise ModelMismatch(
                f"A run was made by {trace.model.name}, not by the session's {session.model.name}.",
                "Keep the runs of one model in one session.",
            )


def _given(part: Part | None) -> list[Part]:
    return [] if part is None else [part]


def _token_parts(session: Session, root: Mapping[str, int]) -> Iterator[Part]:
    if session.traces:
        yield token_part(session.traces, root)
        if any(trace.source is not None for trace in session.traces):
            yield source_part(session.traces, root)


def _run_parts(session: Session, root: Mapping[str, int], wanted: frozenset[str]) -> Iterator[Part]:
    yield logits_part(session.traces, root, full=LOGITS in wanted)
    yield from site_parts(session.traces, root, wanted)


def _view_part(session: Session, root: Mapping[str, int]) -> Part:
    view = GroupBuilder("/view", root, {"encoding-type": "view", "encoding-version": "1.0"})
    view.add_json("state_json", session.view)
    return view.part("view")


def estimate(session: Session, include: Iterable[str] | None = None) -> list[tuple[str, int]]:
    """Title and bytes of every part that ``save_session`` would write.

    Raises what ``session_parts`` raises.
    """
    sizes: dict[str, int] = {}
    for part in session_parts(session, include):
        sizes[part.title] = sizes.get(part.title, 0) + part.nbytes
    return [(title, size) for title, size in sizes.items() if size]


def root_attributes(session: Session, uuid: str, created: str) -> dict[str, str]:
    """Attributes of the file's root, beside the mark and the version."""
    names = {"creator": creator(), "created": session.created or created}
    return {**names, "saved": created, "uuid": session.uuid or uuid}


def _root_lengths(session: Session) -> dict[str, int]:
    model = session.model
    longest = max((len(trace.token_ids) for trace in session.traces), default=0)
    lengths = {
        "prompt": len(session.traces), "layer": model.n_layers, "pos": longest,
        "head": model.n_heads, "kv_head": model.n_kv_heads, "query": longest, "key": longest,
        "d_model": model.d_model, "d_head": model.d_head, "d_mlp": model.d_mlp,
    }  # fmt: skip
    return {name: lengths[name] for name in ROOT_DIMS if lengths[name] > 0}


def _axes_part(root: Mapping[str, int]) -> Part:
    scales = (Scale(f"/{name}", n, np.arange(n, dtype=np.int32)) for name, n in root.items())
    return Part("axes", scales=tuple(scales))


def _model_part(session: Session, root: Mapping[str, int]) -> Part:
    model = session.model
    attributes: dict[str, str | int] = {
        "encoding-type": "model", "encoding-version": "1.0",
        "name": model.name, "architecture": model.architecture,
        "weights_fingerprint": model.fingerprint,
        "tokenizer_fingerprint": model.tokenizer_fingerprint,
        "dtype": model.dtype, "device": model.device, "attn_implementation": model.attention,
        "n_layers": model.n_layers, "n_heads": model.n_heads, "n_kv_heads": model.n_kv_heads,
        "d_model": model.d_model, "d_head": model.d_head, "d_mlp": model.d_mlp,
        "vocabulary": model.vocabulary, "n_parameters": model.n_parameters,
        "context": -1 if model.context is None else model.context,
        "weights_used": f"{model.weights}, nothing folded",
    }  # fmt: skip
    if model.inputs is not None:
        attributes["inputs"] = model.inputs
    if model.sees:
        attributes["sees"] = 1
    if model.threads is not None:
        attributes["threads"] = model.threads
    if model.n_encoder_layers:
        attributes["n_encoder_layers"] = model.n_encoder_layers
    group = GroupBuilder("/model", root, attributes)
    # The configuration is text of the model's own; as a JSON string it comes back unchanged.
    group.add_json("config_json", model.config_json)
    group.add_json("versions_json", {"model": model.versions, "session": session.versions})
    if session.checks is not None:
        group.add_json("selfcheck_json", asdict(session.checks))
    return group.part("model")


def _question_part(session: Session, root: Mapping[str, int]) -> Part:
    group = GroupBuilder(
        "/question", root, {"encoding-type": "question", "encoding-version": "1.0"}
    )
    asked = session.question
    group.add_json("question_json", None if asked is None else _asked(asked))
    group.add_json("metric_json", session.metric)
    return group.part("question")


def _asked(question: Question) -> dict[str, Any]:
    """A question as JSON; readers from before there were images see their names as texts."""
    held: dict[str, Any] = {
        name: getattr(question, name) for name in ("answer", "wrong", "values_only", "seed")
    }
    for name in ("prompt", "corrupt"):
        given: Prompt | None = getattr(question, name)
        held[name] = None if given is None else plain_prompt(given)
        if isinstance(given, ImageInput):
            held[f"{name}_image"] = image_reference(given)
    return held


def _circuit_part(circuit: Circuit, root: Mapping[str, int]) -> Part:
    group = GroupBuilder("/circuit", root, {"encoding-type": "circuit", "encoding-version": "1.0"})
    nodes = (circuit.n_nodes,)
    for name in ("id", "kind", "label"):
        group.add_text(f"node_{name}", ("node",), getattr(circuit, f"node_{name}"), nodes)
    for name in _NODE_NUMBERS:
        values = np.asarray(getattr(circuit, f"node_{name}")).astype(np.int32)
        group.add(f"node_{name}", ("node",), values)
    for name in _NODE_VALUES:
        group.add(f"node_{name}", ("node",), getattr(circuit, f"node_{name}"), {"units": "1"})
    for name, dtype in (("source", np.int32), ("target", np.int32), ("kind", np.uint8)):
        group.add(f"edge_{name}", ("edge",), getattr(circuit, f"edge_{name}").astype(dtype))
    for name in ("weight", "influence"):
        group.add(f"edge_{name}", ("edge",), getattr(circuit, f"edge_{name}"), {"units": "1"})
    method = {key: value for key, value in circuit.metadata.items() if key != "source"}
    group.add_json("method_json", method)
    _add_stamp(group, circuit.made)
    if "source" in circuit.metadata:
        group.add_json("extra_json", circuit.metadata["source"])
    return group.part("circuit")


def _add_stamp(group: GroupBuilder, made: Made | None) -> None:
    """On which model something was computed, where that is known."""
    if made is not None and made.told:
        group.add_json("made_json", made.told_plainly())


def _analysis_sections(
    analyses: Mapping[str, Analysis], root: Mapping[str, int], names: Mapping[str, str]
) -> Iterator[Section]:
    taken = [*names.values()]
    for analysis in analyses.values():
        name = names.get(analysis.id)
        if name is None:
            name = safe_name(analysis.id, taken)
            taken.append(name)
        yield Section(
            f"{ANALYSIS}{analysis.id}", (analysis,), partial(_analysis_parts, analysis, name, root),
            (f"/analyses/{name}", f"{PLOTS}/{name}"),
        )  # fmt: skip


def _analysis_parts(analysis: Analysis, name: str, root: Mapping[str, int]) -> Iterator[Part]:
    yield Part("analyses", groups={"/analyses": {"encoding-type": "analyses"}})
    part, paths = _analysis_part(analysis, f"/analyses/{name}", root)
    yield part
    plot = plot_part(analysis, name, part, paths)
    if plot is not None:
        yield plot


def _analysis_part(
    analysis: Analysis, path: str, root: Mapping[str, int]
) -> tuple[Part, dict[str, str]]:
    attributes = {
        "encoding-type": "analysis", "encoding-version": "1.0", "id": analysis.id,
        "kind": analysis.kind, "title": analysis.title, "created": analysis.created,
        "code_version": creator(), "status": "done",
    }  # fmt: skip
    group = GroupBuilder(path, root, attributes)
    group.add_json("params_json", analysis.params)
    _add_stamp(group, analysis.made)
    paths = {}
    for name, array in analysis.arrays.items():
        extra: dict[str, Any] = {"name": name, "units": array.units, "long_name": array.long_name}
        values = array.values
        if values.dtype.kind == "U":
            values = fixed_text(np.asarray(values[...]), values.shape)
            extra["encoding-type"] = "text"
        elif values.dtype.kind == "b":
            values, extra["encoding-type"] = np.asarray(values[...]).astype(np.uint8), "bool"
        elif values.dtype.kind not in "iuf":
            what = f"The array {name} of the analysis {analysis.id} has the type {values.dtype}."
            raise StorageError(what, "A session holds numbers, truth values and text.")
        size = values.dtype.itemsize * int(np.prod(values.shape))
        paths[name] = group.add(
            name, array.dims, values, extra, single=0 if size > _LARGE and values.shape else None
        )
    return group.part("analyses"), paths
