"""Places of a model that can be edited, and the edits that a right click or a key makes there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np

from microtome.errors import InputError
from microtome.prompt_sets import PromptSet
from microtome.prompts import Prompt
from microtome.records.circuit import HEAD, MLP, POSITION, TOKEN, Circuit
from microtome.records.edits import DirectionSpec, EditSpec
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome.sites import Site
from microtome_desktop.state.library import Library
from microtome_desktop.state.made_by import needs_model
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.workspace import Workspace

_OF_EACH_SET = 4  # prompts of every set that a mean is taken over
_SHARE = 0.5  # of the site's mean norm: how much is steered at first


class Act(StrEnum):
    """What can be done to a place at once; more is written down in the panel Edits."""

    ZERO = "Ablate to zero"
    MEAN = "Ablate to the mean over the prompt sets"
    PATCH = "Patch from the corrupt prompt"
    DIFFERENCE = "Steer along clean \N{MINUS SIGN} corrupt"
    ANSWER = "Steer along the answer"


@dataclass(frozen=True, slots=True)
class EditPlace:
    """A site, at some positions or all, perhaps one neuron of it; ``title`` is how it reads."""

    site: str
    title: str
    positions: tuple[int, ...] | None = None
    neuron: int | None = None


def head_place(layer: int, head: int) -> EditPlace:
    """A head, wherever it looks from."""
    return EditPlace(f"z.{layer}.{head}", f"L{layer}H{head}")


def neuron_place(layer: int, neuron: int) -> EditPlace:
    """A neuron at every position."""
    return EditPlace(f"mlp_post.{layer}", f"neuron {neuron} of layer {layer}", None, neuron)


def token_place(session: Session, position: int, layer: int | None = None) -> EditPlace | None:
    """The residual stream at a token: after a layer, or before the first one."""
    clean = session.clean
    if clean is None or not 0 <= position < len(clean.tokens):
        return None
    text = f"“{clean.tokens[position].strip()}” ({position})"
    if layer is None:
        return EditPlace("resid_pre.0", f"the token {text}", (position,))
    return EditPlace(
        f"resid_post.{layer}", f"the stream after layer {layer} at {text}", (position,)
    )


def cell_place(session: Session, site: str, layer: int, position: int) -> EditPlace | None:
    """A site of a layer at a token; layer -1 is the stream before the first one."""
    if layer < 0:
        return token_place(session, position)
    if session.clean is None or not 0 <= position < len(session.clean.tokens):
        return None
    token = session.clean.tokens[position].strip()
    return EditPlace(f"{site}.{layer}", f"{site}.{layer} at “{token}” ({position})", (position,))


def point_place(session: Session, site: str, position: int | None) -> EditPlace | None:
    """The site of a feature space: at a token of the run, or everywhere for another prompt's."""
    place = Site.parse(site)
    if session.clean is None or (place.kind.per_layer and place.layer is None):
        return None
    if position is None:
        return EditPlace(site, f"{site}, all tokens")
    token = session.clean.tokens[position].strip()
    return EditPlace(site, f"{site} at “{token}” ({position})", (position,))


def node_place(circuit: Circuit, row: int) -> EditPlace | None:
    """The component that a node stands for, at its position; None for the metric and groups."""
    layer, position = int(circuit.node_layer[row]), int(circuit.node_position[row])
    sites = {
        HEAD: f"z.{layer}.{int(circuit.node_head[row])}", MLP: f"mlp_out.{layer}",
        TOKEN: "embed", POSITION: "pos_embed",
    }  # fmt: skip
    site = sites.get(circuit.node_kind[row])
    return None if site is None else EditPlace(site, circuit.node_id[row], (position,))


def selected_places(session: Session | None, selected: Selected) -> tuple[EditPlace, ...]:
    """What is selected: nodes of the circuit, else a neuron, a head, or a token."""
    if session is None:
        return ()
    if nodes := node_places(session, (selected.node, *selected.others)):
        return nodes
    layer = selected.layer
    if layer is not None and selected.neuron is not None:
        return (neuron_place(layer, selected.neuron),)
    if layer is not None and selected.head is not None:
        return (head_place(layer, selected.head),)
    found = None
    if selected.position is not None and selected.prompt is None:
        found = token_place(session, selected.position, layer)
    return () if found is None else (found,)


def node_places(session: Session, nodes: Iterable[str | None]) -> tuple[EditPlace, ...]:
    """The components that nodes of the circuit stand for, those of a group too."""
    circuit, marks = session.circuit, session.marks
    if circuit is None:
        return ()
    wanted: dict[str, None] = {}
    for node in nodes:
        group = next((g for g in marks.supernodes if node == f"group/{g.name}"), None)
        wanted |= dict.fromkeys((node,) if group is None and node else group.nodes if group else ())
    rows = _rows(circuit)
    found = (node_place(circuit, rows[name]) for name in wanted if name in rows)
    return tuple(place for place in found if place is not None)


@lru_cache(maxsize=1)
def _rows(circuit: Circuit) -> Mapping[str, int]:
    """Node id -> row. Kept, since a dozen commands ask for each change of the selection."""
    return {name: row for row, name in enumerate(circuit.node_id)}


@dataclass(frozen=True, slots=True)
class Grounds:
    """What edits are made from: the session, the model's prompt sets, whether there is a model."""

    session: Session | None
    sets: tuple[PromptSet, ...]
    offline: bool

    @classmethod
    def of(cls, workspace: Workspace, library: Library) -> Grounds:
        """The grounds now."""
        return cls(workspace.session, library.shelf.facts.prompt_sets, workspace.offline)


def why_no_edits(grounds: Grounds) -> str:
    """Why nothing can be edited, empty when it can."""
    session = grounds.session
    if session is None or session.clean is None or not session.metric:
        return "There is nothing to edit yet: run a prompt first."
    if grounds.offline:
        return needs_model(session)
    return ""


def why_not_act(grounds: Grounds, act: Act, places: tuple[EditPlace, ...]) -> str:
    """Why an act cannot be done to these places, empty when it can."""
    if reason := why_no_edits(grounds):
        return reason
    if not places:
        return "Select a node, a head, a neuron or a token first."
    return _REASONS[act](grounds, places)


def _never(_grounds: Grounds, _places: tuple[EditPlace, ...]) -> str:
    return ""


def _no_sets(grounds: Grounds, places: tuple[EditPlace, ...]) -> str:
    if any(EditSpec(place.site, "mean").of_one_length for place in places):
        return "A mean of patterns needs prompts of one length: use Add in the panel Edits."
    return (
        "" if grounds.sets else "No prompt set is made for this model: use Add in the panel Edits."
    )


def _no_pair(grounds: Grounds, _places: tuple[EditPlace, ...]) -> str:
    pair = grounds.session is not None and grounds.session.corrupt is not None
    return "" if pair else "Needs a corrupt prompt: run a pair first."


def _no_neuron(grounds: Grounds, places: tuple[EditPlace, ...]) -> str:
    if reason := _no_pair(grounds, places):
        return reason
    single = any(place.neuron is not None for place in places)
    return "One neuron has no direction: ablate or patch it." if single else ""


def _no_stream(_grounds: Grounds, places: tuple[EditPlace, ...]) -> str:
    stream = all(Site.parse(p.site).kind.axes == ("position", "d_model") for p in places)
    return (
        ""
        if stream
        else "The answer is a direction of the residual stream, not of a head or neuron."
    )


_REASONS: dict[Act, Callable[[Grounds, tuple[EditPlace, ...]], str]] = {
    Act.ZERO: _never, Act.MEAN: _no_sets, Act.PATCH: _no_pair, Act.DIFFERENCE: _no_neuron,
    Act.ANSWER: _no_stream,
}  # fmt: skip


def set_prompts(sets: Iterable[PromptSet], of_each: int = _OF_EACH_SET) -> tuple[Prompt, ...]:
    """Ordinary prompts of a model: the first clean ones of each set."""
    return tuple(pair.clean for held in sets for pair in held.pairs[:of_each])


def spec_of(grounds: Grounds, act: Act, place: EditPlace) -> EditSpec:
    """The edit that an act makes at a place; ``why_not_act`` must have found nothing."""
    common: dict[str, Any] = {"positions": place.positions, "neuron": place.neuron}
    session = grounds.session
    if session is None or session.clean is None:
        raise InputError("There is nothing to edit yet.", "Run a prompt first.")
    if act is Act.ZERO:
        return EditSpec(place.site, "zero", **common)
    if act is Act.MEAN:
        return EditSpec(place.site, "mean", prompts=set_prompts(grounds.sets), **common)
    if act is Act.PATCH:
        return EditSpec(place.site, "patch", prompts=(corrupt_prompt(session),), **common)
    direction = _direction(session, act, place)
    strength = first_strength(session.clean, place.site)
    return EditSpec(place.site, "add", strength=strength, direction=direction, **common)


def _direction(session: Session, act: Act, place: EditPlace) -> DirectionSpec:
    if act is Act.ANSWER:
        wrong = session.metric.get("wrong_id")
        return DirectionSpec("unembedding", token=int(session.metric["answer_id"]), other=wrong)
    clean, corrupt = clean_prompt(session), corrupt_prompt(session)
    at = place.positions
    return DirectionSpec("difference", prompts=(clean,), others=(corrupt,), positions=at)


def clean_prompt(session: Session) -> Prompt:
    """The clean prompt as it was asked, or as ids."""
    held = session.question
    return held.prompt if held is not None else session.traces[0].as_prompt


def corrupt_prompt(session: Session) -> Prompt:
    """The corrupt prompt as it was asked, or as ids."""
    held = session.question
    if held is not None and held.corrupt is not None:
        return held.corrupt
    return session.traces[1].as_prompt


def first_strength(run: Trace, site: str) -> float:
    """Half of what stands at a site, rounded; 1 where its values are not in memory."""
    place = Site.parse(site)
    held = run.activations.get(place.name)
    if held is None or not isinstance(held.values, np.ndarray):
        return 1.0
    one_layer = place.layer is not None and place.layer in held.layers
    values = held.layer(place.layer) if one_layer and place.layer is not None else held.values
    norm = float(np.linalg.norm(values, axis=-1).mean())
    return float(f"{_SHARE * norm:.2g}") or 1.0
