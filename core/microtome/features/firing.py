"""Where features are on in one prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from microtome.activations.capture import trace
from microtome.errors import expect
from microtome.features.fitting import expect_fit
from microtome.features.neurons import Coder
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.firing import Firing
from microtome.sites import Site


def where_it_fires(
    model: Model, dictionary: Coder, prompt: Prompt | Sequence[int], *, job: Job | None = None
) -> Firing:
    """Which features of a dictionary, or which neurons, are on at each token of a prompt.

    The tokenizer's own tokens have codes too: they are in the prompt.
    Raises DictionaryMismatch for a dictionary of another model, and what ``trace`` raises.
    """
    expect_model(model)
    expect(dictionary, Coder, "dictionary", "a Dictionary or Neurons", "Load one first.")
    expect_fit(dictionary.identity, model)
    site = Site.of(dictionary.identity.reads)
    run = trace(model, prompt, sites=[str(site)], job=job_or_default(job))
    held = run.activation(site)
    with torch.inference_mode():
        rows = torch.from_numpy(np.ascontiguousarray(held, np.float32)).flatten(1)
        codes = dictionary.encode(rows).cpu().numpy()
    position, feature = np.nonzero(codes > 0)
    return Firing(
        dictionary=dictionary.identity.name,
        tokens=run.tokens,
        position=position.astype(np.int32),
        feature=feature.astype(np.int32),
        value=codes[position, feature],
    )
