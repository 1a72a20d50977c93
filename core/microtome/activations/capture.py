"""One run of a model on one prompt, with every activation that was asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from microtome.activations.budget import Plan, plan_capture, shape_of, stored_dtype
from microtome.activations.finite import not_finite
from microtome.errors import WrongKind, described, expect
from microtome.full_memory import telling_of_memory
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.hooks import Tap, tapping
from microtome.models.memory import pass_bytes
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.models.tokens import Tokens
from microtome.prompts import Prompt
from microtome.records.trace import Activation, Source, Trace
from microtome.sites import SITES, Site


@runtime_checkable
class Edit(Protocol):
    """A change of the values at some sites during a run (see ``microtome.interventions``)."""

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place, for a prompt of so many tokens.

        ``source`` tokens are those that an encoder reads.
        """
        ...


@small_on_one_thread
def trace(
    model: Model,
    prompt: Prompt | Sequence[int],
    *,
    sites: Iterable[Site | str] | None = None,
    edits: Sequence[Edit] = (),
    budget: int | None = None,
    top_k: int = 20,
    job: Job | None = None,
) -> Trace:
    """The run of a prompt: tokens, logits, predictions and activations, edits applied.

    With an encoder the prompt is what it reads, then ``|||`` (among ids: -1) and what the decoder
    goes on from, if anything; tokens and logits are the decoder's.
    Activations are float32 (float64 for a float64 model) with the axes of the site table behind
    a layer axis; they leave the device as they arise. A site that was edited is recorded as the
    model went on with it. Without ``sites`` every site that fits ``budget`` bytes is captured.
    Raises PromptError, SiteMissing, EditError, or MemoryExceeded before or during the run.
    """
    job = job_or_default(job)
    expect_model(model)
    expect_edits(edits)
    tokens = model.tokenize(prompt)
    plan = plan_capture(model, len(tokens), sites, budget, tokens.n_source)
    with telling_of_memory(
        f"The activations of {model.identity.name} on {len(tokens)} tokens do not fit into memory",
        "Choose fewer sites, a smaller budget or a shorter prompt.",
        lambda: plan.n_bytes,
    ):
        recorder = _Recorder(model, tokens, plan)
    chains = chains_of(model, tokens, edits, job)
    for site, tap in recorder.taps().items():
        chains.setdefault(site, []).append(tap)
    started = time.perf_counter()
    logits = tapped_logits(model, tokens, chains, job, edited=bool(edits))
    seconds = time.perf_counter() - started
    return _record(model, tokens, recorder, logits, edits=edits, top_k=top_k, seconds=seconds)


def expect_edits(edits: Sequence[Edit]) -> None:
    """Raise WrongKind for what is no list of edits."""
    example = "Write for example edits=[Ablate('z.3.5')]."
    expect(edits, Sequence, "edits", "a list of edits", example)
    for edit in edits:
        if isinstance(edit, type) or not isinstance(edit, Edit):
            raise WrongKind(f"{described(edit)} is no edit.", example)


def chains_of(
    model: Model, tokens: Tokens, edits: Sequence[Edit], job: Job
) -> dict[Site, list[Tap]]:
    """The taps of edits at each place, in the order given."""
    chains: dict[Site, list[Tap]] = {}
    for edit in edits:
        for site, tap in edit.taps(model, len(tokens), job, tokens.n_source).items():
            chains.setdefault(site, []).append(tap)
    return chains


def tapped_logits(
    model: Model,
    tokens: Tokens,
    chains: Mapping[Site, Sequence[Tap]],
    job: Job,
    *,
    edited: bool,
) -> Float[Tensor, "position vocabulary"]:
    """The logits of a tapped run, on the CPU in the stored type.

    Raises EditError (ModelError where nothing was ``edited``) for NaN or infinity, which says
    where that began, and MemoryExceeded.
    """
    with telling_of_memory(
        f"Memory ran out while {model.identity.name} ran on {len(tokens)} tokens",
        "Choose fewer sites, a shorter prompt or a smaller model.",
        partial(pass_bytes, model, 1, len(tokens)),
    ):
        with tapping(model, chains, job.check):
            logits = model.run(tokens)
        logits = logits.to("cpu", torch.promote_types(logits.dtype, torch.float32))
    # Minus infinity is a word that a model never says.
    if not torch.isfinite(logits.logsumexp(-1)).all():
        raise not_finite(model, tokens, chains, edited=edited)
    return logits


class _Recorder:
    """Arrays for what a plan captures, and the taps that fill them during the run."""

    def __init__(self, model: Model, tokens: Tokens, plan: Plan) -> None:
        self._layers = plan.layers
        shapes = {}
        for name, layers in plan.layers.items():
            shape = shape_of(model, name, len(tokens), tokens.n_source)
            shapes[name] = (len(layers), *shape) if SITES[name].per_layer else shape
        self._arrays = _allocate(shapes, stored_dtype(model))

    def taps(self) -> dict[Site, Tap]:
        """A tap for each captured place."""
        taps: dict[Site, Tap] = {}
        for name, array in self._arrays.items():
            values = torch.from_numpy(array)
            if SITES[name].per_layer:
                rows = zip(self._layers[name], values, strict=True)
                taps |= {Site(name, layer): partial(_keep, row) for layer, row in rows}
            else:
                taps[Site(name)] = partial(_keep, values)
        return taps

    def activations(self) -> dict[str, Activation]:
        """What was captured."""
        return {name: Activation(self._arrays[name], self._layers[name]) for name in self._arrays}


def _allocate(
    shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[np.floating[Any]]
) -> dict[str, NDArray[Any]]:
    """An empty array of each shape.

    All lie in one block: the system hands out a large block in large pages, which was measured
    to halve the time of filling them.
    """
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()], dtype=np.int64)
    block = np.empty(int(ends[-1]) if len(ends) else 0, dtype)
    pieces = np.split(block, ends[:-1])
    return {
        name: piece.reshape(shape)
        for (name, shape), piece in zip(shapes.items(), pieces, strict=False)
    }


def _keep(row: Tensor, values: Tensor) -> Tensor:
    row.copy_(values[0])
    return values


def _source(read: Tokens | None) -> Source | None:
    return None if read is None else Source(read.ids, read.texts, read.unknown)


def _record(
    model: Model,
    tokens: Tokens,
    recorder: _Recorder,
    logits: Tensor,
    *,
    edits: Sequence[Edit],
    top_k: int,
    seconds: float,
) -> Trace:
    top = logits.topk(min(top_k, logits.shape[-1]))
    probabilities = (top.values - logits.logsumexp(-1, keepdim=True)).exp()
    ids = top.indices.to(torch.int32).numpy()
    return Trace(
        model=model.identity,
        prompt=tokens.prompt,
        token_ids=tokens.ids,
        tokens=tokens.texts,
        top_ids=ids,
        top_logits=top.values.numpy(),
        top_probabilities=probabilities.numpy(),
        top_tokens=tuple(tuple(model.token_text(token) for token in row) for row in ids.tolist()),
        logits=logits.numpy(),
        activations=recorder.activations(),
        edits=tuple(str(edit) for edit in edits),
        unknown=tokens.unknown,
        seconds=seconds,
        live=model,
        source=_source(tokens.source),
        image=tokens.image,
    )
