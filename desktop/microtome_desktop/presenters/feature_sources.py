"""Which dictionaries the Features panel offers: open ones, those of an index, and neurons."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.records.dictionary import DictionaryIdentity
from microtome.records.dictionary_file import ONE, DictionaryFile
from microtome.records.model import ModelIdentity
from microtome.records.neuron_prints import neurons_fingerprint
from microtome.records.session import Session
from microtome_desktop.state.features import indexes
from microtome_desktop.state.image_features import selectivities

NO_INDEX = "No text was looked through yet."


@dataclass(frozen=True, slots=True)
class FeatureSource:
    """A dictionary on offer: its fingerprint, its name, and what it is in a few words."""

    fingerprint: str
    name: str
    told: str


def feature_sources(
    session: Session | None, held: tuple[DictionaryIdentity, ...], model: ModelIdentity | None
) -> tuple[FeatureSource, ...]:
    """All on offer: open ones first, then what the session has of dictionaries, then neurons."""
    found = {one.fingerprint: FeatureSource(one.fingerprint, one.name, _told(one)) for one in held}
    for analysis in (*indexes(session), *selectivities(session)):
        print_, told = str(analysis.params.get("fingerprint", "")), analysis.params
        name = str(told.get("dictionary", "a dictionary"))
        words = f"{told.get('architecture', '')} at {told.get('reads', '')}"
        found.setdefault(print_, FeatureSource(print_, name, words))
    for one in () if session is None else session.dictionaries:
        found.setdefault(one.fingerprint, FeatureSource(one.fingerprint, one.name, _told(one)))
    if model is None:
        return tuple(found.values())
    for layer in range(model.n_layers):
        print_ = neurons_fingerprint(layer, model.fingerprint)
        source = FeatureSource(print_, f"neurons of layer {layer}", f"mlp_post.{layer}")
        found.setdefault(print_, source)
    return tuple(found.values())


def _told(one: DictionaryIdentity) -> str:
    writes = f" → {one.writes}" if one.is_transcoder else ""
    return f"{one.architecture} at {one.reads}{writes} · {one.d_sae:,} features"


def file_line(told: DictionaryFile) -> str:
    """What a file of a dictionary is, on one line."""
    held = told.identity
    place = held.reads if not held.is_transcoder else f"{held.reads} → {held.writes}"
    many = f"{told.n_layers} × " if told.kind != ONE else ""
    return f"{held.name} · {held.architecture} · {place} · {many}{held.d_sae:,} features"
