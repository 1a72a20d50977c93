"""A session record as the parts of its file, and how large each will be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from microtome.errors import ModelMismatch, StorageError
from microtome.prompts import ImageInput, Prompt, Question, plain_prompt
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.marks import Marks
from microtome.records.session import Session
from microtome.session.annotations import annotations_part
from microtome.session.dictionaries import dictionaries_part
from microtome.session.parts import GroupBuilder, Part, Scale
from microtome.session.pictures import image_reference, images_part
from microtome.session.plots import plot_part
from microtome.session.schema import ROOT_DIMS, creator, fixed_text, safe_name
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

_LARGE = 1 << 20
_NODE_NUMBERS = ("layer", "position", "head", "feature")
_NODE_VALUES = ("score", "influence", "bias")


def wanted_sites(include: Iterable[str] | None) -> frozenset[str]:
    """The default sites and those named besides; ``logits`` asks for all logits.

    Raises InputError for a name that is no site.
    """
    more = {name if name == LOGITS else kind_of(name).name for name in include or ()}
    return frozenset(DEFAULT_SITES) | more


def session_parts(session: Session, include: Iterable[str] | None = None) -> Iterator[Part]:
    """All parts of a session's file, small ones first.

    What already lies in a session file is always kept. Raises ModelMismatch when a run was made
    by another model, InputError for an unknown site, StorageError for what no file can hold.
    """
    wanted = wanted_sites(include)
    edited = () if session.edited is None else (session.edited,)
    for trace in (*session.traces, *edited):
        if trace.model.fingerprint != session.model.fingerprint:
            raise ModelMismatch(
                f"A run was made by {trace.model.name}, not by the session's {session.model.name}.",
                "Keep the runs of one model in one session.",
            )
    root = _root_lengths(session)
    yield _axes_part(root)
    yield _model_part(session, root)
    yield _question_part(session, root)
    images = images_part(session, root)
    if images is not None:
        yield images
    if session.traces:
        yield token_part(session.traces, root)
        if any(trace.source is not None for trace in session.traces):
            yield source_part(session.traces, root)
    if session.circuit is not None:
        yield _circuit_part(session.circuit, root)
    yield from _analysis_parts(session.analyses, root)
    if session.dictionaries:
        yield dictionaries_part(session.dictionaries, root)
    if session.marks != Marks():
        yield annotations_part(session.marks, root)
    if session.view:
        view = GroupBuilder("/view", root, {"encoding-type": "view", "encoding-version": "1.0"})
        view.add_json("state_json", session.view)
        yield view.part("view")
    if session.traces:
        yield logits_part(session.traces, root, full=LOGITS in wanted)
        yield from site_parts(session.traces, root, wanted)
        for trace in edited:
            yield from edited_parts(trace, root, wanted)


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
    if "source" in circuit.metadata:
        group.add_json("extra_json", circuit.metadata["source"])
    return group.part("circuit")


def _analysis_parts(analyses: Mapping[str, Analysis], root: Mapping[str, int]) -> Iterator[Part]:
    if analyses:
        yield Part("analyses", groups={"/analyses": {"encoding-type": "analyses"}})
    taken: list[str] = []
    for analysis in analyses.values():
        taken.append(safe_name(analysis.id, taken))
        part, paths = _analysis_part(analysis, f"/analyses/{taken[-1]}", root)
        yield part
        plot = plot_part(analysis, taken[-1], part, paths)
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
