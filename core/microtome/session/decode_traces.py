"""Runs read back from a file: tokens at once, activations and logits when they are asked for."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.errors import SessionDamaged
from microtome.records.model import ModelIdentity
from microtome.records.trace import Activation, Source, Trace
from microtome.session.handle import Handle
from microtome.session.lazy import LazyArray
from microtome.session.pictures import Stored, image_of
from microtome.session.schema import EDITED
from microtome.sites import SITES, SiteKind

# The axes that count tokens: of the run itself, and of what an encoder read.
_TEXT_AXES, _SOURCE_AXES = ("position", "query", "key"), ("source", "source_query")


def decode_edited(handle: Handle, model: ModelIdentity, images: Stored) -> Trace | None:
    """The run with edits, if the file holds one.

    Raises what ``decode_traces`` raises, and SessionDamaged for more than one.
    """
    runs = decode_traces(handle, model, images, EDITED)
    if len(runs) > 1:
        raise SessionDamaged(f"The session holds {len(runs)} runs with edits, not one.")
    return runs[0] if runs else None


def decode_traces(
    handle: Handle, model: ModelIdentity, images: Stored, base: str = ""
) -> tuple[Trace, ...]:
    """All runs of a file, or of its group ``base``; ``images`` are all those of the file.

    Raises SessionDamaged for shapes that disagree or ids outside the vocabulary.
    """
    if not handle.members(f"{base}/tokens"):
        return ()
    runs = handle.json(f"{base}/tokens/runs_json")
    tokens = {name: handle.read(f"{base}/tokens/{name}") for name in ("ids", "unknown")}
    places = {name: f"{base}/logits/top_{name}" for name in ("ids", "logits", "probabilities")}
    top = {name: handle.read(place) for name, place in places.items()}
    shape, top_shape = tokens["ids"].shape, top["ids"].shape
    _check_shapes(len(runs), tokens, top, once=model.sees)
    # Patches have as many ids as were ever shown, which no model names.
    _check_ids("token ids", tokens["ids"], None if model.sees else model.reads)
    _check_ids("top tokens", top["ids"], model.vocabulary)
    texts = _texts(handle, f"{base}/tokens/text", shape)
    words = _texts(handle, f"{base}/logits/top_text", top_shape)
    lengths = [_within(run["length"], shape[1], "tokens") for run in runs]
    sources = _sources(handle, model, len(runs), base)
    read = [0 if source is None else len(source.token_ids) for source in sources]
    sites = _activations(handle, model, lengths, read, base)
    logits = _logits(handle, model, lengths, base)
    traces = []
    for row, (run, n) in enumerate(zip(runs, lengths, strict=True)):
        k = _within(run["top"], top_shape[2], "top tokens")
        traces.append(Trace(
            model=model, prompt=str(run["prompt"]), token_ids=tokens["ids"][row, :n],
            tokens=tuple(texts[row, :n].tolist()), top_ids=top["ids"][row, :n, :k],
            top_logits=top["logits"][row, :n, :k],
            top_probabilities=top["probabilities"][row, :n, :k],
            top_tokens=tuple(tuple(at) for at in words[row, :n, :k].tolist()),
            logits=logits.get(row), activations=MappingProxyType(sites[row]),
            edits=tuple(map(str, run["edits"])), seconds=float(run["seconds"]),
            unknown=tuple(np.flatnonzero(tokens["unknown"][row, :n]).tolist()),
            source=sources[row], image=image_of(run.get("image"), images),
        ))  # fmt: skip
    return tuple(traces)


def _sources(handle: Handle, model: ModelIdentity, n_runs: int, base: str) -> list[Source | None]:
    """What an encoder read in each run."""
    if not handle.members(f"{base}/source"):
        return [None] * n_runs
    lengths = handle.json(f"{base}/source/lengths_json")
    ids, unknown = (handle.read(f"{base}/source/{name}") for name in ("ids", "unknown"))
    agree = len(ids.shape) == 2 and ids.shape == unknown.shape and ids.shape[0] == n_runs
    if not agree or len(lengths) != n_runs:
        raise SessionDamaged(f"The source has the shape {ids.shape} for {n_runs} runs.")
    _check_ids("token ids of the source", ids, model.reads)
    texts = _texts(handle, f"{base}/source/text", ids.shape)
    sources: list[Source | None] = []
    for row, length in enumerate(lengths):
        n = _within(length, ids.shape[1], "tokens of the source")
        known = tuple(np.flatnonzero(unknown[row, :n]).tolist())
        source = Source(ids[row, :n], tuple(texts[row, :n].tolist()), known)
        sources.append(source if n else None)
    return sources


def _texts(handle: Handle, path: str, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.array(handle.texts(path), dtype=object).reshape(shape)


def _within(length: Any, longest: int, what: str) -> int:
    if not isinstance(length, int) or not 0 <= length <= longest:
        raise SessionDamaged(f"A run claims {length} {what}; the file holds {longest}.")
    return length


def _check_shapes(n_runs: int, tokens: dict[str, Any], top: dict[str, Any], *, once: bool) -> None:
    """``once``: a model that sees may answer once for all patches."""
    shape = tokens["ids"].shape
    if len(shape) != 2 or shape[0] != n_runs or tokens["unknown"].shape != shape:
        raise SessionDamaged(f"The tokens have the shape {shape} for {n_runs} runs.")
    for name, values in top.items():
        places = (shape, (shape[0], 1)) if once else (shape,)
        if values.ndim != 3 or values.shape[:2] not in places or values.shape != top["ids"].shape:
            raise SessionDamaged(
                f"The top {name} have the shape {values.shape} for tokens {shape}."
            )


def _check_ids(what: str, ids: NDArray[Any], known: int | None) -> None:
    if ids.dtype.kind not in "iu":
        raise SessionDamaged(f"The {what} are stored as {ids.dtype}, not as whole numbers.")
    size = 1 << 31 if known is None else known
    if ids.size and not 0 <= ids.min() <= ids.max() < size:
        raise SessionDamaged(
            f"The {what} go from {ids.min()} to {ids.max()}; the vocabulary has {size}."
        )


def _activations(
    handle: Handle, model: ModelIdentity, lengths: list[int], read: list[int], base: str
) -> list[dict[str, Activation]]:
    """For each run its sites by name; ``read`` are the tokens of the sources."""
    found: list[dict[str, Activation]] = [{} for _ in lengths]
    for path in _site_paths(handle, base):
        attributes = handle.attributes(path)
        kind = SITES.get(str(attributes.get("site", "")))
        held = handle.kind(path)
        if kind is None or held is None:
            continue
        layers = tuple(int(layer) for layer in attributes["layers"])
        count = model.n_encoder_layers if kind.in_encoder else model.n_layers
        if layers and not 0 <= min(layers) <= max(layers) < count:
            raise SessionDamaged(f"{path} names layers {list(layers)} of {count}.")
        for row, run in enumerate(int(run) for run in attributes["prompts"]):
            _within(run, len(lengths) - 1, "as its number")
            counts = dict.fromkeys(_TEXT_AXES, lengths[run])
            counts |= dict.fromkeys(_SOURCE_AXES, read[run])
            shape = _window(path, kind, held[0], len(layers), counts)
            array = LazyArray(handle, path, shape, held[1], row)
            found[run][kind.name] = Activation(array, layers)
    return [{name: site[name] for name in SITES if name in site} for site in found]


def _site_paths(handle: Handle, base: str) -> list[str]:
    folders = (f"{base}/activations", f"{base}/attention")
    return [f"{folder}/{name}" for folder in folders for name in handle.members(folder)]


def _window(
    path: str,
    kind: SiteKind,
    shape: tuple[int, ...],
    n_layers: int,
    counts: dict[str, int],
) -> tuple[int, ...]:
    """One run's shape inside a dataset [prompt, layer, …]."""
    inner = shape[1:]
    front = 1 if kind.per_layer else 0
    agrees = len(inner) == front + len(kind.axes) and (not front or inner[0] == n_layers)
    window = list(inner)
    for axis, name in enumerate(kind.axes, start=front):
        if agrees and name in counts:
            agrees = counts[name] <= inner[axis]
            window[axis] = counts[name]
    if not agrees:
        tokens = next((counts[name] for name in kind.axes if name in counts), 0)
        raise SessionDamaged(
            f"{path} has the shape {shape}; there are {n_layers} layers and {tokens} tokens."
        )
    return tuple(window)


def _logits(handle: Handle, model: ModelIdentity, lengths: list[int], base: str) -> dict[int, Any]:
    path = f"{base}/logits/logits"
    held = handle.kind(path)
    if held is None:
        return {}
    rows = [int(run) for run in handle.attributes(path)["prompts"]]
    shape, dtype = held
    if len(shape) != 3 or shape[0] != len(rows) or shape[2] != model.vocabulary:
        raise SessionDamaged(f"{path} has the shape {shape} for {len(rows)} runs.")
    for run in rows:
        _within(run, len(lengths) - 1, "as its number")
        if not (model.sees and shape[1] == 1):
            _within(lengths[run], shape[1], "tokens")
    return {
        run: LazyArray(handle, path, (min(lengths[run], shape[1]), shape[2]), dtype, row)
        for row, run in enumerate(rows)
    }
