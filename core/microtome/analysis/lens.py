"""The logit lens: what the model would say if it stopped after each layer.

Read through all that stands before the words: the final norm, and a masked language model's own
non-linear transform.

Source: nostalgebraist, "interpreting GPT: the logit lens" (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.readout import LogitReadout, as_numpy, live_model, readout_of
from microtome.jobs import Job, job_or_default
from microtome.records.analysis import Analysis, Labelled
from microtome.records.trace import Trace
from microtome.sites import Site

# Rows of the residual stream read at once; the words of each are chunked as well.
_ROWS = 2048


@torch.inference_mode()
def logit_lens(
    trace: Trace, *, normalise: bool = True
) -> Float[np.ndarray, "layer position vocabulary"]:
    """Read the residual stream after each layer as if it were the last.

    Returns log-probabilities (nats) when ``normalise`` is set, else logits. The whole array is
    made: for one answer in a large vocabulary use ``lens_analysis``.
    Raises SiteMissing when the trace holds no ``resid_post`` or came from a file.
    """
    readout = readout_of(live_model(trace, "The logit lens"), "The logit lens")
    layers = []
    for residual in trace.activation("resid_post"):
        seen = readout.read(readout.tensor(residual))
        logits = readout.capped(readout.raw_logits(seen, slice(None)))
        layers.append(as_numpy(logits.log_softmax(-1) if normalise else logits))
    return np.stack(layers)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What some rows of the residual stream say about one answer, and what they say at most."""

    logit: Tensor  # [row]
    probability: Tensor
    rank: Tensor  # words more probable than the answer
    top: Tensor  # the most probable word
    top_probability: Tensor


def read(readout: LogitReadout, residual: Float[Tensor, "row d"], answer: int) -> Reading:
    """Read rows of the residual stream, with a chunk of the vocabulary in memory at a time."""
    seen = readout.read(residual)
    rows = len(residual)
    answer_logit = top = peak = total = rank = residual.new_zeros(0)
    for words in readout.words(rows, first=answer):  # the chunk with the answer comes first
        logits = readout.capped(readout.raw_logits(seen, words))
        best, index = logits.max(-1)
        if not len(top):
            answer_logit = logits[:, answer - words.start]
            top, peak, total = index + words.start, best, residual.new_zeros(rows)
            rank = torch.zeros_like(index)
        higher = torch.maximum(peak, best)
        total = total * (peak - higher).exp() + (logits - higher[:, None]).exp().sum(-1)
        top = torch.where(best > peak, index + words.start, top)
        peak = higher
        rank = rank + (logits > answer_logit[:, None]).sum(-1)
    return Reading(answer_logit, (answer_logit - peak).exp() / total, rank, top, 1 / total)


@torch.inference_mode()
def lens_analysis(trace: Trace, answer: int, metric: str, *, job: Job | None = None) -> Analysis:
    """The logit lens of one answer: probability, logit, rank and the top token at every stage.

    Stage 0 is the embeddings, stage l + 1 the residual stream after layer l.
    Raises SiteMissing when the trace lacks ``resid_pre`` of layer 0 or ``resid_post``, or came
    from a file.
    """
    job = job_or_default(job)
    model = live_model(trace, "The logit lens")
    readout = readout_of(model, "The logit lens")
    residual = _stages(trace)
    readings = []
    flat = residual.reshape(-1, residual.shape[-1])
    for start in range(0, len(flat), _ROWS):
        job.progress("Logit lens", start, len(flat))
        readings.append(read(readout, readout.tensor(flat[start : start + _ROWS]), answer))

    def gathered(name: str) -> np.ndarray:
        values = torch.cat([getattr(reading, name) for reading in readings])
        return as_numpy(values).reshape(residual.shape[:2])

    top = gathered("top")
    texts = np.array([model.token_text(int(token)) for token in top.flat])
    axes = ("stage", "position")
    arrays = {
        "probability": Labelled(axes, gathered("probability").astype(np.float32)),
        "logit": Labelled(axes, gathered("logit").astype(np.float32)),
        "rank": Labelled(axes, gathered("rank").astype(np.int32), long_name="0 is the top"),
        "top_token": Labelled(axes, texts.reshape(top.shape)),
        "top_probability": Labelled(axes, gathered("top_probability").astype(np.float32)),
    }
    params = {"answer": answer, "answer_text": model.token_text(answer), "metric": metric}
    return Analysis("logit-lens", "logit-lens", "Logit lens", arrays, params)


def _stages(trace: Trace) -> Float[np.ndarray, "stage position d"]:
    embedded = trace.activation(Site("resid_pre", 0))
    return np.concatenate([embedded[None], trace.activation("resid_post")])
