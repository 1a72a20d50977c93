"""A session file in a few plain values, for the command line and for programs."""

from __future__ import annotations

import math
from typing import Any

from microtome.records.provenance import Figure, provenance
from microtome.records.session import Session
from microtome.records.trace import ArraySource, Trace
from microtome.session.handle import Handle
from microtome.session.versions import note


def summarise(handle: Handle, session: Session) -> dict[str, Any]:
    """Format, model, runs, circuit, analyses, checks, and the size of every stored array."""
    root, model = handle.attributes("/"), session.model
    names = ("format", "format_version", "creator", "created", "saved", "uuid")
    return {
        **{name: root.get(name, "") for name in names},
        **({"note": told} if (told := note(handle.version)) else {}),
        "file_bytes": handle.path.stat().st_size,
        "model": {
            "name": model.name, "architecture": model.architecture,
            "dtype": model.dtype, "device": model.device,
            "layers": model.n_layers, "heads": model.n_heads, "d_model": model.d_model,
            "parameters": model.n_parameters, "fingerprint": model.fingerprint,
        },
        "metric": dict(session.metric),
        "runs": [_run(trace) for trace in session.traces],
        "edited": None if session.edited is None else _run(session.edited),
        "circuit": None if session.circuit is None else {
            "nodes": session.circuit.n_nodes, "edges": session.circuit.n_edges,
            "metric": session.circuit.metadata.get("metric"),
            "method": session.circuit.metadata.get("method"),
            "made": _made(session.circuit, session),
        },
        "analyses": [
            {"id": one.id, "kind": one.kind, "title": one.title, "made": _made(one, session)}
            for one in session.analyses.values()
        ],
        "dictionaries": [
            {"name": one.name, "architecture": one.architecture, "features": one.d_sae,
             "reads": one.reads, "writes": one.writes, "fingerprint": one.fingerprint}
            for one in session.dictionaries
        ],
        "checks": None if session.checks is None else {
            "passed": session.checks.passed, "failed": [r.title for r in session.checks.failures],
        },
    }  # fmt: skip


def _made(figure: Figure, session: Session) -> dict[str, Any] | None:
    """What produced it, as plain JSON; None where the file does not tell."""
    found = provenance(figure, session)
    return found.told_plainly() if found.made.told else None


def _nbytes(values: ArraySource) -> int:
    return math.prod(values.shape) * values.dtype.itemsize


def _run(trace: Trace) -> dict[str, Any]:
    source = {} if trace.source is None else {"source": list(trace.source.tokens)}
    return {
        "prompt": trace.prompt,
        **source,
        "tokens": list(trace.tokens),
        "edits": list(trace.edits),
        "logits": trace.logits is not None,
        "sites": {name: _nbytes(held.values) for name, held in trace.activations.items()},
    }
