"""The features that share a neuron, and the neurons of a feature: what goes together in a text."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.activations.shards import Harvest
from microtome.corpora.reading import Source
from microtome.errors import InputError, expect
from microtome.features.dictionary import Dictionary
from microtome.features.effects import in_stream
from microtome.features.fitting import expect_fit
from microtome.features.indexing import text_rows
from microtome.features.neurons import Neurons
from microtome.features.sites_read import read_sites
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.shared_features import SharedFeatures
from microtome.records.shared_neurons import SharedNeurons
from microtome.sites import Site

# Numbers of codes that are in memory at once.
_NUMBERS = 1 << 23
# Sites of a layer that hold what its own MLP has written.
_BEHIND_MLP = frozenset({"resid_post", "mlp_post", "mlp_out"})


def shared_features(
    model: Model,
    neuron: tuple[int, int],
    dictionary: Dictionary,
    source: Source | Harvest,
    *,
    context: int | None = None,
    limit: int = 100_000,
    job: Job | None = None,
) -> SharedFeatures:
    """How all features of a dictionary go together with one neuron, by layer and number.

    The neuron's activity is the positive part of ``mlp_post``, as on its card. The tokenizer's own
    tokens do not count.
    Raises InputError for a neuron that is not there, DictionaryMismatch, CorpusError.
    """
    job = job_or_default(job)
    expect_model(model)
    expect(neuron, tuple, "neuron", "a pair of layer and number", "Write for example (2, 17).")
    expect(dictionary, Dictionary, "dictionary", "a Dictionary", "Load or train one.")
    expect_fit(dictionary.identity, model)
    layer, number = neuron
    neurons = Neurons(model, layer)
    if not 0 <= number < neurons.identity.d_sae:
        raise InputError(
            f"Layer {layer} has {neurons.identity.d_sae:,} neurons, and none of number {number}."
        )
    with TemporaryDirectory() as folder:
        tokens, named = text_rows(model, source, Path(folder), context, limit, job)
    sums = _Sums(dictionary.d_sae)
    read, own = Site.of(dictionary.identity.reads), Site("mlp_post", layer)
    size = max(1, _NUMBERS // (dictionary.d_sae * tokens.shape[1]))
    for start in range(0, len(tokens), size):
        ids = tokens[start : start + size]
        held = read_sites(model, ids, [read, own], job)
        counted = torch.from_numpy(~np.isin(ids, model.lexicon.special_tokens))
        with torch.inference_mode():
            codes = dictionary.encode(held[read][counted]).double()
            sums.add(held[own][counted][:, number].clamp_min(0).double(), codes)
        job.progress("Neuron and features", min(start + size, len(tokens)), len(tokens))
    params = {
        "dictionary": dictionary.identity.name, "fingerprint": dictionary.identity.fingerprint,
        "corpus": named, "positions": sums.n, "method": "Pearson correlation over tokens",
    }  # fmt: skip
    return SharedFeatures(
        layer, number, sums.correlation(), sums.share(),
        _cosines(model, neurons, number, dictionary), params,
    )  # fmt: skip


def shared_neurons(
    model: Model,
    dictionary: Dictionary,
    feature: int,
    source: Source | Harvest,
    *,
    context: int | None = None,
    limit: int = 100_000,
    job: Job | None = None,
) -> SharedNeurons:
    """How the neurons of a model go together with one feature, as ``shared_features`` backward.

    Of a transcoder these are the neurons of its layer, else those of all layers that have written
    what the dictionary reads. The tokenizer's own tokens do not count.
    Raises InputError for a feature that is not there, or where no neurons come before it,
    DictionaryMismatch, CorpusError.
    """
    job = job_or_default(job)
    expect_model(model)
    expect(dictionary, Dictionary, "dictionary", "a Dictionary", "Load or train one.")
    expect(feature, (int, np.integer), "feature", "a number", "Write for example 12.")
    expect_fit(dictionary.identity, model)
    if not 0 <= feature < dictionary.d_sae:
        raise InputError(
            f"There is no feature {feature}: the dictionary has {dictionary.d_sae:,}.",
            "Count from 0.",
        )
    layers = _layers_before(dictionary)
    held = [Neurons(model, layer) for layer in layers]
    with TemporaryDirectory() as folder:
        tokens, named = text_rows(model, source, Path(folder), context, limit, job)
    read, sites = Site.of(dictionary.identity.reads), [Site("mlp_post", n) for n in layers]
    sums = _Sums(sum(one.identity.d_sae for one in held))
    size = max(1, _NUMBERS // (max(dictionary.d_sae, sums.width) * tokens.shape[1]))
    for start in range(0, len(tokens), size):
        ids = tokens[start : start + size]
        seen = read_sites(model, ids, [read, *sites], job)
        counted = torch.from_numpy(~np.isin(ids, model.lexicon.special_tokens))
        with torch.inference_mode():
            own = dictionary.encode(seen[read][counted])[:, feature].double()
            active = torch.cat([seen[site][counted] for site in sites], dim=1)
            sums.add(own, active.clamp_min(0).double())
        job.progress("Feature and neurons", min(start + size, len(tokens)), len(tokens))
    params = {
        "dictionary": dictionary.identity.name, "fingerprint": dictionary.identity.fingerprint,
        "corpus": named, "positions": sums.n, "method": "Pearson correlation over tokens",
    }  # fmt: skip
    shape = (len(layers), -1)
    return SharedNeurons(
        int(feature), layers, sums.correlation().reshape(shape), sums.share().reshape(shape),
        _neuron_cosines(model, held, dictionary, int(feature)).reshape(shape), params,
    )  # fmt: skip


def _layers_before(dictionary: Dictionary) -> tuple[int, ...]:
    """Whose neurons a dictionary can have its features from. Raises InputError for none."""
    told = dictionary.identity
    reads, writes = Site.of(told.reads), Site.of(told.writes)
    if told.is_transcoder and writes.layer is not None:
        return (writes.layer,)
    last = -1 if reads.layer is None else reads.layer
    last -= reads.name not in _BEHIND_MLP
    if last < 0:
        raise InputError(f"No neurons have written what {told.name} reads at {told.reads}.")
    return tuple(range(last + 1))


def _neuron_cosines(
    model: Model, layers: list[Neurons], dictionary: Dictionary, feature: int
) -> Float[np.ndarray, " neuron"]:
    directions = torch.cat([one.directions for one in layers])
    written = in_stream(
        model, dictionary.identity.writes, dictionary.directions[feature : feature + 1].float()
    )
    if written is None:
        return np.zeros(len(directions))
    scale = directions.norm(dim=1) * written[0].norm()
    return torch.where(scale > 0, directions @ written[0] / scale, 0.0).double().numpy()


class _Sums:
    """Moments of one activity and of many codes."""

    def __init__(self, features: int) -> None:
        self.n, self.width = 0, features
        self._own = torch.zeros(2, dtype=torch.float64)
        self._codes, self._squares, self._both, self._at = torch.zeros(
            4, features, dtype=torch.float64
        )

    def add(self, own: Float[Tensor, " n"], codes: Float[Tensor, "n feature"]) -> None:
        self.n += len(own)
        self._own += torch.stack([own.sum(), own.square().sum()])
        self._codes += codes.sum(0)
        self._squares += codes.square().sum(0)
        self._both += own @ codes
        self._at += own @ (codes > 0).double()

    def correlation(self) -> Float[np.ndarray, " feature"]:
        n = max(1, self.n)
        mean, means = self._own[0] / n, self._codes / n
        spread = (self._own[1] / n - mean**2).clamp_min(0).sqrt()
        spreads = (self._squares / n - means**2).clamp_min(0).sqrt()
        together = self._both / n - mean * means
        scale = spread * spreads
        return torch.where(scale > 1e-12, together / scale, 0.0).numpy()

    def share(self) -> Float[np.ndarray, " feature"]:
        return np.asarray((self._at / self._own[0].clamp_min(1e-30)).numpy())


def _cosines(
    model: Model, neurons: Neurons, number: int, dictionary: Dictionary
) -> Float[np.ndarray, " feature"]:
    written = in_stream(model, dictionary.identity.writes, dictionary.directions.float())
    if written is None:
        return np.zeros(dictionary.d_sae)
    own = neurons.directions[number]
    scale = written.norm(dim=1) * own.norm()
    return torch.where(scale > 0, written @ own / scale, 0.0).double().numpy()
