"""A check that a run comes back from a session's file as it was, and gives the same analyses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from microtome.analysis.direct import attribute
from microtome.analysis.lens import lens_analysis
from microtome.errors import SiteMissing, StorageError
from microtome.metrics import LogitOverMean
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, furthest
from microtome.session.reader import SessionFile
from microtome.session.writer import save_session

_OFFLINE = 1e-6


def reread(subject: Subject) -> Iterator[Measurement]:
    """16. A saved run reread is bitwise the same, and analyses of it give the same numbers."""
    run = subject.run
    session = Session(model=subject.model.identity, traces=(run,))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        wanted = [*run.activations, "logits"]
        try:
            file = save_session(Path(folder) / "check.h5", session, include=wanted, job=subject.job)
        except StorageError as error:
            raise DoesNotApply(f"no session can be written here: {error}") from error
        with SessionFile(file) as opened:
            stored = opened.session.clean
            assert stored is not None  # noqa: S101 - it was written just now
            yield from _arrays(stored, run)
            yield from _analyses(subject, replace(stored, live=subject.model))


def _arrays(stored: Trace, run: Trace) -> Iterator[Measurement]:
    missing = float(len(run.activations.keys() ^ stored.activations.keys()))
    yield Measurement(missing, 0.0, "sites that only one of run and file holds")
    texts = (stored.tokens, stored.top_tokens) != (run.tokens, run.top_tokens)
    yield Measurement(float(texts), 0.0, "texts of tokens differ")
    for name in ("token_ids", "top_ids", "top_logits", "top_probabilities", "logits"):
        yield _same_bits(getattr(stored, name), getattr(run, name), name)
    if run.source is not None and stored.source is not None:
        yield _same_bits(stored.source.token_ids, run.source.token_ids, "ids of the source")
    for name in run.activations.keys() & stored.activations.keys():
        found, written = stored.activations[name], run.activations[name]
        yield Measurement(float(found.layers != written.layers), 0.0, f"layers of {name} differ")
        yield _same_bits(found.values[...], written.values[...], name)


def _same_bits(found: Any, written: Any, name: str) -> Measurement:
    """How many bytes differ; all of them where type or shape does."""
    one, other = np.asarray(found[...]), np.ascontiguousarray(written[...])
    if one.dtype != other.dtype or one.shape != other.shape:
        return Measurement(float("inf"), 0.0, f"{name} has another type or shape in the file")
    bits = [np.frombuffer(array.tobytes(), np.uint8) for array in (one, other)]
    return Measurement(float(np.count_nonzero(bits[0] != bits[1])), 0.0, f"bytes of {name} differ")


def _analyses(subject: Subject, stored: Trace) -> Iterator[Measurement]:
    """The logit lens and direct attribution from the file, against those of the run."""
    top = int(subject.logits[-1].argmax())
    try:
        lenses = [lens_analysis(run, top, "").arrays for run in (stored, subject.run)]
    except SiteMissing:
        return  # without a way to its logits a model has neither
    for name in ("probability", "logit", "rank"):
        found = furthest(*(arrays[name].values for arrays in lenses))
        yield Measurement(found, _OFFLINE, f"{name} of the logit lens of the file")
    if subject.model.known and not subject.anatomy.leaves_out:
        direct = [
            attribute(run, subject.anatomy, LogitOverMean(top)) for run in (stored, subject.run)
        ]
        for name in ("attention_layers", "mlp_layers", "heads"):
            found = furthest(*(getattr(parts, name) for parts in direct))
            yield Measurement(found, _OFFLINE, f"{name} of direct attribution of the file")
