"""A check that activations are taken apart into features, and put together again, rightly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import microtome_resources as resources
from microtome.errors import DictionaryMismatch
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_file_fits, rows
from microtome.features.formats.files import inspect_dictionary, load_dictionary
from microtome.features.rules import NORMALISATIONS, Settings, Weights
from microtome.records.dictionary_file import ONE
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject
from microtome.sites import Site


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
    """What features write, one after another in double precision."""
    codes = dictionary.encode(x).double()
    written = dictionary.weights.b_dec.double().expand(len(x), -1).clone()
    for feature in torch.nonzero(codes.any(0)).flatten().tolist():
        written += codes[:, feature, None] * dictionary.directions[feature].double()
    return NORMALISATIONS[dictionary.settings.normalise](x).back(written)
