"""Runs as parts of a session: tokens, top logits, activations, attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.records.trace import Activation, ArraySource, Source, Trace
from microtome.session.chunks import Stacked
from microtome.session.lazy import is_stored
from microtome.session.parts import GroupBuilder, Part
from microtome.session.pictures import image_reference
from microtome.session.schema import EDITED
from microtome.sites import SITES, SiteKind

# What the panels show of a run when no model is at hand.
_DECODER_SITES = (
    "resid_pre", "attn_out", "resid_mid", "mlp_post", "router", "mlp_out", "resid_post",
    "pattern",
)  # fmt: skip
DEFAULT_SITES = (
    *_DECODER_SITES,
    *("cross_pattern", "cross_out", "resid_mid_cross"),
    *(f"enc_{name}" for name in _DECODER_SITES if f"enc_{name}" in SITES),
)
LOGITS = "logits"
_LOOKING = {"query", "source_query"}  # an axis of these is that of an attention pattern
_RAGGED = {"position", "query", "key", "source", "source_query"}


def edited_parts(
    edited: Trace, root: Mapping[str, int], wanted: AbstractSet[str]
) -> Iterator[Part]:
    """The run with edits, in a group of its own that is laid out as those of the runs."""
    runs = (edited,)
    parts = [Part("", {EDITED: _about("edited")}), token_part(runs, root, EDITED)]
    if edited.source is not None:
        parts.append(source_part(runs, root, EDITED))
    parts.append(logits_part(runs, root, full=LOGITS in wanted, base=EDITED))
    for part in (*parts, *site_parts(runs, root, wanted, EDITED)):
        yield replace(part, title="run with edits")


def _about(kind: str) -> dict[str, str]:
    return {"encoding-type": kind, "encoding-version": "1.0"}


def token_part(traces: Sequence[Trace], root: Mapping[str, int], base: str = "") -> Part:
    """Ids and texts of all runs, shorter ones masked at their end."""
    group = GroupBuilder(f"{base}/tokens", root, _about("tokens"))
    shape = (len(traces), max(len(trace.token_ids) for trace in traces))
    lengths = np.array([len(trace.token_ids) for trace in traces])[:, np.newaxis]
    positions = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
    unknown = np.zeros(shape, np.uint8)
    for row, trace in enumerate(traces):
        unknown[row, list(trace.unknown)] = 1
    dims = ("prompt", "position")
    group.add("ids", dims, _padded([trace.token_ids for trace in traces], shape, np.int32))
    texts = [[*trace.tokens] + [""] * (shape[1] - len(trace.tokens)) for trace in traces]
    group.add_text("text", dims, [text for row in texts for text in row], shape)
    group.add("mask", dims, (positions < lengths).astype(np.uint8))
    group.add("position_ids", dims, np.where(positions < lengths, positions, 0).astype(np.int32))
    group.add("unknown", dims, unknown)
    group.add_json("runs_json", [_run(trace) for trace in traces])
    return group.part("tokens")


def source_part(traces: Sequence[Trace], root: Mapping[str, int], base: str = "") -> Part:
    """What an encoder read in each run: ids and texts, shorter ones masked at their end."""
    group = GroupBuilder(f"{base}/source", root, _about("source"))
    read = [trace.source or _NO_SOURCE for trace in traces]
    lengths = [len(source.token_ids) for source in read]
    shape = (len(traces), max(lengths))
    unknown = np.zeros(shape, np.uint8)
    for row, source in enumerate(read):
        unknown[row, list(source.unknown)] = 1
    dims = ("prompt", "source")
    group.add("ids", dims, _padded([source.token_ids for source in read], shape, np.int32))
    texts = [[*source.tokens] + [""] * (shape[1] - len(source.tokens)) for source in read]
    group.add_text("text", dims, [text for row in texts for text in row], shape)
    mask = np.arange(shape[1]) < np.array(lengths)[:, np.newaxis]
    group.add("mask", dims, mask.astype(np.uint8))
    group.add("unknown", dims, unknown)
    group.add_json("lengths_json", lengths)
    return group.part("tokens of the source")


_NO_SOURCE = Source(np.zeros(0, np.int32), ())


def _run(trace: Trace) -> dict[str, Any]:
    image = {} if trace.image is None else {"image": image_reference(trace.image)}
    return {
        **image,
        "prompt": trace.prompt,
        "length": len(trace.token_ids),
        "top": int(trace.top_ids.shape[1]),
        "edits": list(trace.edits),
        "seconds": float(trace.seconds),
    }


def logits_part(
    traces: Sequence[Trace], root: Mapping[str, int], *, full: bool, base: str = ""
) -> Part:
    """The most probable next tokens of each position; all logits of a run when asked for."""
    group = GroupBuilder(f"{base}/logits", root, _about("logits"))
    lengths = [trace.top_ids.shape for trace in traces]
    shape = (len(traces), max(n for n, _ in lengths), max(k for _, k in lengths))
    dims = ("prompt", "position", "top")
    for name, dtype, long_name in (
        ("top_ids", np.int32, "most probable next tokens"),
        ("top_logits", None, "their logits"),
        ("top_probabilities", None, "their probabilities over the whole vocabulary"),
    ):
        values = _padded([getattr(trace, name) for trace in traces], shape, dtype)
        group.add(name, dims, values, {"units": "1", "long_name": long_name})
    group.add_text("top_text", dims, _top_texts(traces, shape), shape)
    kept = [row for row, trace in enumerate(traces) if _keeps_logits(trace, full=full)]
    if kept:
        stack = Stacked(tuple(_source(traces[row].logits) for row in kept))
        extra: dict[str, Any] = {"units": "1", "long_name": LOGITS}
        extra["prompts"] = np.array(kept, np.int32)
        rows = None if len(kept) == len(traces) else {"prompt": np.array(kept, np.int32)}
        dims = ("prompt", "position", "vocabulary")
        group.add(LOGITS, dims, stack, extra, single=1, coordinates=rows)
    return group.part("top logits" if not kept else "logits")


def _keeps_logits(trace: Trace, *, full: bool) -> bool:
    return trace.logits is not None and (full or is_stored(trace.logits))


def _source(logits: ArraySource | None) -> ArraySource:
    assert logits is not None  # noqa: S101 - chosen by _keeps_logits
    return logits


def _top_texts(traces: Sequence[Trace], shape: tuple[int, ...]) -> list[str]:
    texts = np.full(shape, "", dtype=object)
    for row, trace in enumerate(traces):
        for position, words in enumerate(trace.top_tokens):
            texts[row, position, : len(words)] = words
    return [str(text) for text in texts.ravel()]


def _padded(
    arrays: Sequence[NDArray[Any]], shape: tuple[int, ...], dtype: Any = None
) -> NDArray[Any]:
    out = np.zeros(shape, dtype or arrays[0].dtype)
    for row, values in enumerate(arrays):
        out[row][tuple(slice(0, length) for length in values.shape)] = values
    return out


def site_parts(
    traces: Sequence[Trace], root: Mapping[str, int], wanted: AbstractSet[str], base: str = ""
) -> Iterator[Part]:
    """One part for each site that is wanted, or that a session file already holds."""
    for name, kind in SITES.items():
        kept = [
            (row, trace.activations[name])
            for row, trace in enumerate(traces)
            if name in trace.activations
            and (name in wanted or is_stored(trace.activations[name].values))
        ]
        if kept:
            yield _site_part(kind, kept, root, traces[0].model.dtype, base)


def _site_part(
    kind: SiteKind,
    kept: list[tuple[int, Activation]],
    root: Mapping[str, int],
    model_dtype: str,
    base: str,
) -> Part:
    folder = "attention" if _LOOKING & set(kind.axes) else "activations"
    group = GroupBuilder(f"{base}/{folder}", root, _about(folder))
    dims = ("prompt", *(("layer",) if kind.per_layer else ()), *kind.axes)
    for rows, layers, values in _alike(kind, kept):
        attributes: dict[str, Any] = {
            "encoding-type": "activation", "encoding-version": "1.0", "site": kind.name,
            "hook": kind.lens_name, "model_dtype": model_dtype, "long_name": kind.title,
            "units": "1", "prompts": np.array(rows, np.int32), "layers": np.array(layers, np.int32),
        }  # fmt: skip
        own: dict[str, NDArray[Any]] = {}
        if len(rows) != root["prompt"]:
            own["prompt"] = np.array(rows, np.int32)
        same = layers == tuple(range(root.get("layer", 0)))
        if kind.per_layer and (kind.in_encoder or not same):
            own["layer"] = np.array(layers, np.int32)
        single = 2 if kind.per_layer else 1
        group.add(kind.name, dims, values, attributes, single=single, coordinates=own)
    return group.part(f"{kind.title} ({kind.name})")


def _alike(
    kind: SiteKind, kept: list[tuple[int, Activation]]
) -> Iterator[tuple[list[int], tuple[int, ...], Stacked]]:
    """Runs whose values share layers, type and lengths, so that one dataset holds them."""
    groups: dict[Any, list[tuple[int, Activation]]] = {}
    for row, activation in kept:
        lengths = activation.values.shape[1 if kind.per_layer else 0 :]
        fixed = [n for axis, n in zip(kind.axes, lengths, strict=True) if axis not in _RAGGED]
        key = (tuple(activation.layers), activation.values.dtype.str, tuple(fixed))
        groups.setdefault(key, []).append((row, activation))
    for (layers, _, _), members in groups.items():
        stack = Stacked(tuple(activation.values for _, activation in members))
        yield [row for row, _ in members], layers, stack
