"""Who proposes labels, by name: token statistics, a model, a folder, or an installed labeller.

A labeller of one's own is any class that speaks ``Labeller``. An installed package offers it
under the entry point group ``microtome.labellers``; nothing is loaded before it is chosen.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import EntryPoint

from microtome.errors import InputError, expect
from microtome.features.label_plugins import offered_labellers
from microtome.features.labelling import Labeller, LocalLabeller
from microtome.features.token_labels import TOKEN_STATISTICS, TokenLabeller
from microtome.jobs import Job, job_or_default
from microtome.models.loading import load_model
from microtome.models.model import Model

TOKENS, ITSELF = "tokens", "itself"


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A labeller, and what it is called in a session."""

    labeller: Labeller
    name: str


def labeller_named(who: str, model: Model, *, job: Job | None = None) -> Named:
    """The labeller of a name.

    ``tokens`` are token statistics, ``itself`` is the model whose features are labelled; then
    come installed labellers, and last a folder or an embedded name of a model. Nothing is fetched.
    Raises InputError for an installed labeller that cannot be made, and what ``load_model`` raises.
    """
    job = job_or_default(job)
    expect(who, (str, os.PathLike), "who", "a name or a folder", "Write 'tokens' or 'itself'.")
    who = os.fspath(who)
    if who == TOKENS:
        return Named(TokenLabeller(), TOKEN_STATISTICS)
    if who == ITSELF:
        return Named(LocalLabeller(model, job=job), model.identity.name)
    offered = offered_labellers()
    if who in offered:
        return Named(_made(offered[who]), who)
    chosen = load_model(who)
    return Named(LocalLabeller(chosen, job=job), chosen.identity.name)


def _made(offered: EntryPoint) -> Labeller:
    try:
        made = offered.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"The labeller {offered.name} ({offered.value}) cannot be made: {error}.",
            "Name a class, or a function, that is called without arguments.",
        ) from error
    expect(made, Labeller, offered.value, "a Labeller", "It needs propose and detect.")
    return made  # type: ignore[no-any-return]
