"""What the corrupt prompt changes in the predictions, so that a file without all logits has it."""

from __future__ import annotations

import numpy as np

from microtome.errors import SiteMissing
from microtome.records.analysis import Analysis, Labelled
from microtome.records.trace import Trace

LOGIT_CHANGE = "logit-change"


def logit_change(clean: Trace, corrupt: Trace) -> Analysis:
    """Logits of the clean run minus those of the corrupt one [position, k].

    The words are the clean run's most probable ones, in the order of its ``top_ids``.
    Raises SiteMissing when the corrupt run was saved without its logits.
    """
    if corrupt.logits is None:
        raise SiteMissing("The corrupt run was saved without all its logits.", "Run it again.")
    other = np.take_along_axis(np.asarray(corrupt.logits[...]), clean.top_ids, axis=1)
    values = (clean.top_logits - other).astype(np.float32)
    held = Labelled(("position", "k"), values, long_name="logit on the clean minus corrupt prompt")
    return Analysis(LOGIT_CHANGE, LOGIT_CHANGE, "Change of the predictions", {"difference": held})
