"""How good a dictionary of a layer of units is on images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from microtome.features.dictionary import Dictionary
from microtome.features.tallies import Seen
from microtome.features.unit_rows import batches, flat, unfolded
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.prompts import ImageInput
from microtome.records.dictionary_scores import DictionaryScores

_CODES = 2**24  # numbers at a time, 64 MB


@torch.inference_mode()
def evaluate_on_images(
    model: Model,
    dictionary: Dictionary,
    layer: UnitLayer,
    images: Sequence[ImageInput],
    job: Job,
) -> DictionaryScores:
    """Figures over all places of images; the answer of an image is the model's own likeliest."""
    sight = model.sight
    assert sight is not None  # noqa: S101  a layer of units is of a model that sees
    seen = Seen.of(dictionary.d_sae, dictionary.d_out)
    sums = dict.fromkeys(("own", "put", "zeroed", "kl"), 0.0)
    for start, end in batches(sight, len(images)):
        job.progress("Measuring a dictionary", start, len(images), "images")
        pixels = sight.pixels(images[start:end])
        with sight.reading([layer.name]) as found:
            own = sight.logits(pixels).log_softmax(-1)
        values = found[layer.name]
        parts = []
        for rows in flat(values).float().split(max(1, _CODES // dictionary.d_sae)):
            codes, written = dictionary.both(rows)
            seen.add(codes, written, rows)
            parts.append(written)
        new = unfolded(torch.cat(parts), values).to(values.dtype)
        put = _with(sight, layer, pixels, new).log_softmax(-1)
        zeroed = _with(sight, layer, pixels, torch.zeros_like(values)).log_softmax(-1)
        right = own.argmax(-1, keepdim=True)
        for name, said in (("own", own), ("put", put), ("zeroed", zeroed)):
            sums[name] -= float(said.gather(1, right).double().sum())
        sums["kl"] += float((own.exp() * (own - put)).double().sum())
    means = {name: total / len(images) for name, total in sums.items()}
    return DictionaryScores(
        **seen.told(), cross_entropy=means["own"], reconstructed=means["put"],
        zeroed=means["zeroed"], kl=means["kl"], positions=seen.count,
    )  # fmt: skip


def _with(sight: Sight, layer: UnitLayer, pixels: Tensor, new: Tensor) -> Tensor:
    with sight.changing({layer.name: lambda _: new}):
        return sight.logits(pixels)
