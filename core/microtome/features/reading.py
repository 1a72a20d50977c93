"""Reading one run through a dictionary."""

from __future__ import annotations

import numpy as np
import torch

from microtome.activations.capture import trace
from microtome.errors import ModelMismatch
from microtome.features.fitting import expect_fit, rows
from microtome.features.neurons import Coder
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.records.run_codes import RunCodes
from microtome.records.trace import Trace


def codes_of_run(
    model: Model, dictionary: Coder, run: Trace, *, job: Job | None = None
) -> RunCodes:
    """The features that are on in a run, also in one that did not keep the dictionary's site.

    Raises ModelMismatch for a run of another model, DictionaryMismatch.
    """
    if run.model.fingerprint != model.identity.fingerprint:
        raise ModelMismatch(
            f"The run was made with {run.model.name}, but {model.identity.name} is loaded.",
            f"Attach {run.model.name}.",
        )
    expect_fit(dictionary.identity, model)
    site = dictionary.identity.reads
    again = trace(model, run.as_prompt, sites=[site], job=job)
    with torch.inference_mode():
        read = rows(torch.from_numpy(np.asarray(again.activation(site), np.float32)))
        codes = dictionary.encode(read).cpu()
        at, feature = (each.numpy() for each in torch.nonzero(codes > 0, as_tuple=True))
    value = codes.numpy()[at, feature]
    order = np.argsort(-value, kind="stable")
    return RunCodes(len(codes), at[order], feature[order], value[order])
