"""A check that activations are taken apart into features, and put together again, rightly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import microtome_resources as resources
from microtome.activations.capture import trace
from microtome.errors import DictionaryMismatch
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_file_fits, rows
from microtome.features.formats.files import inspect_dictionary, load_dictionary
from microtome.features.rules import NORMALISATIONS, Settings, Weights
from microtome.features.unit_rows import unit_layer
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.prompt_sets import load_prompt_set, prompt_set_names
from microtome.prompts import Prompt
from microtome.records.dictionary_file import ONE
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject
from microtome.sites import Site

_SETS, _OF_EACH = 3, 2  # prompt sets of the model, and prompts of each
_ENGLISH = (
    "The committee met on Tuesday morning to decide whether the old bridge should be repaired.",
    "When she opened the letter, she found that her brother had already left the city.",
    "Water boils at a lower temperature on a mountain, because the air there is thinner.",
)


@torch.inference_mode()
def parts(subject: Subject) -> Iterator[Measurement]:
    """14. What features write and what they leave sum to the activation, and they explain it.

    The features are those of a dictionary that comes with the model. Any other model gets one
    of orthogonal directions, along which its activations vary: that leaves nothing.
    """
    own = _embedded(subject)
    site = str(own.identity.reads) if own else str(Site("resid_post", subject.middle))
    x = rows(torch.from_numpy(np.array(subject.run.activation(site)))).to(subject.wide)
    spread = (x - x.mean(0)).square().sum()
    if not spread > 0:
        raise DoesNotApply(f"{site} is the same at every position of the prompt")
    dictionary = own.to(x.dtype) if own else _along(x)
    error = x - dictionary.reconstruct(x)
    whole = _written(dictionary, x) + error
    off = float((whole - x).norm() / x.norm())
    yield Measurement(off, 1e-5, f"features of {site} and what they leave, relative")
    left = float(error.square().sum() / spread)
    # All but the last bit of what is spread out may be left: explained variance is above 0.
    most = float(np.nextafter(1.0, 0.0)) if own else 1e-6
    yield Measurement(left, most, f"share of the variance of {site} that features leave")


@torch.inference_mode()
def of(model: Model, dictionary: Dictionary, job: Job) -> Iterator[Measurement]:
    """14, of a dictionary that the user has opened, on prompts of the model's own kind.

    What it stands for is what it writes: of a transcoder the output of its MLP. At the first
    position of a prompt few dictionaries were trained, so that the variance leaves it out.
    """
    identity = dictionary.identity
    if unit_layer(model, identity.reads) is not None:
        raise DoesNotApply("it reads a layer of units, which has no sites")
    reads, writes = str(Site.of(identity.reads)), str(Site.of(identity.writes))
    runs = [trace(model, each, sites=[reads, writes], top_k=1, job=job) for each in _prompts(model)]
    wide = torch.promote_types(model.dtype, torch.float32)
    x, wanted = (
        torch.cat([rows(torch.from_numpy(np.array(run.activation(site)))) for run in runs]).to(wide)
        for site in (reads, writes)
    )
    moved = dictionary.to(wide)
    error = wanted - moved.reconstruct(x)
    off = float((_written(moved, x) + error - wanted).norm() / wanted.norm())
    yield Measurement(off, 1e-5, f"features at {writes} and what they leave, relative")
    lengths = [len(run.token_ids) for run in runs]
    kept = torch.cat([torch.arange(length) > 0 for length in lengths])
    spread = (wanted[kept] - wanted[kept].mean(0)).square().sum()
    if spread > 0:
        left = float(error[kept].square().sum() / spread)
        most = float(np.nextafter(1.0, 0.0))
        yield Measurement(left, most, f"share of the variance of {writes} that features leave")


def _prompts(model: Model) -> tuple[Prompt, ...]:
    """What the model reads as a rule: of its prompt sets, else English, else random tokens."""
    sets = [load_prompt_set(name) for name in prompt_set_names(model.identity.name)][:_SETS]
    own = tuple(pair.clean for held in sets for pair in held.pairs[:_OF_EACH])
    if own or model.tokenizer is not None:
        return own or _ENGLISH
    return (Subject(model, Job()).prompt,)


def _embedded(subject: Subject) -> Dictionary | None:
    """The first that comes with this very model, None without one."""
    for name in resources.dictionary_names():
        try:
            file = inspect_dictionary(name)
            expect_file_fits(file, subject.model)
        except DictionaryMismatch:
            continue
        if file.kind == ONE:
            return load_dictionary(name, job=subject.job)
    return None


def _along(x: Float[Tensor, "position d"]) -> Dictionary:
    """One whose features are the directions of the activations' variance, each with its opposite.

    Codes are never negative, so that either end of a direction has a feature of its own.
    """
    mean = x.mean(0)
    _, _, axes = torch.linalg.svd((x - mean).double(), full_matrices=False)
    directions = torch.cat([axes, -axes]).to(x.dtype)
    none = torch.zeros(len(directions), dtype=x.dtype)
    weights = Weights(w_dec=directions, b_dec=mean, w_enc=directions, b_enc=none)
    return Dictionary(weights, Settings("relu"))


def _written(dictionary: Dictionary, x: Float[Tensor, "position d"]) -> Any:
    """What features write, one after another in double precision, and a linear skip."""
    weights, codes = dictionary.weights, dictionary.encode(x).double()
    written = weights.b_dec.double().expand(len(x), -1).clone()
    for feature in torch.nonzero(codes.any(0)).flatten().tolist():
        written += codes[:, feature, None] * dictionary.directions[feature].double()
    if not dictionary.identity.is_transcoder:  # what one writes was never rescaled
        written = NORMALISATIONS[dictionary.settings.normalise](x).back(written)
    return written if weights.w_skip is None else written + x.double() @ weights.w_skip.T.double()
