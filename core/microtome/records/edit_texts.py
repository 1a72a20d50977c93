"""How edits read: the same words for what a user wrote down and for what a run was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from microtome.prompts import Prompt, prompt_line
from microtome.records.edits import ABLATIONS, DirectionSpec, EditSpec

_LONGEST = 40  # characters of a prompt that are shown


@runtime_checkable
class Words(Protocol):
    """What tells how a token reads: a model."""

    def token_text(self, token: int) -> str:
        """How a token reads."""
        ...


def where_text(site: object, positions: Sequence[int] | None) -> str:
    """A place: ``z.2.1``, ``z.2.1 at 3, 5``."""
    return str(site) if positions is None else f"{site} at {', '.join(map(str, positions))}"


def ablation_text(kind: str, where: str, prompts: int, seed: int = 0) -> str:
    """For example ``mean ablation over 3 prompts of z.1.2``."""
    over = f" over {prompts} prompt{'s' * (prompts != 1)}" if prompts else ""
    drawn = f" (seed {seed})" if kind == "resample" else ""
    return f"{kind} ablation{over}{drawn} of {where}"


def patch_text(
    where: str,
    prompt: Prompt | None,
    from_positions: Sequence[int] | None = None,
    from_layer: int | None = None,
) -> str:
    """For example ``patch of resid_pre.2 at 10 from 'The keys to the' at 3``."""
    if prompt is None:
        return f"patch of {where}"
    layer = "" if from_layer is None else f" layer {from_layer}"
    at = "" if from_positions is None else f" at {', '.join(map(str, from_positions))}"
    return f"patch of {where} from {prompt_text(prompt)}{layer}{at}"


def steer_text(where: str, strength: float, direction: str, *, project_out: bool) -> str:
    """For example ``steering of resid_post.2 by 4 × Mary − John``."""
    named = direction or "a direction"
    if project_out:
        share = "" if strength == 1 else f"{strength:g} × "
        return f"projecting {share}{named} out of {where}"
    return f"steering of {where} by {strength:g} × {named}"


def direction_text(spec: DirectionSpec, words: Words | None = None) -> str:
    """A direction by how it is found; ``words`` names tokens, which are else shown by number."""
    return _DIRECTIONS[spec.kind](spec, words)


def _difference(spec: DirectionSpec, _words: Words | None) -> str:
    if len(spec.prompts) == len(spec.others) == 1:
        return "the difference of two prompts"
    return f"mean of {len(spec.prompts)} − mean of {len(spec.others)} prompts"


def _component(spec: DirectionSpec, _words: Words | None) -> str:
    return f"component {spec.component} of {len(spec.prompts)} prompts"


def _unembedding(spec: DirectionSpec, words: Words | None) -> str:
    named = [
        f"token {token}" if words is None else words.token_text(token).strip()
        for token in (spec.token, spec.other)
        if token is not None
    ]
    return f"unembedding of {' − '.join(named)}"


def _values(spec: DirectionSpec, _words: Words | None) -> str:
    return f"a given direction of {len(spec.values)} numbers"


_DIRECTIONS: dict[str, Callable[[DirectionSpec, Words | None], str]] = {
    "difference": _difference,
    "component": _component,
    "unembedding": _unembedding,
    "values": _values,
}


def prompt_text(prompt: Prompt) -> str:
    """A prompt in quotation marks, cut where it is long."""
    text = prompt_line(prompt)
    return repr(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def describe(spec: EditSpec, words: Words | None = None) -> str:
    """What an edit does, in a line: ``zero ablation of z.2.1 at 3``.

    It is what ``Trace.edits`` will hold of a run with it. ``words``, a model, names tokens.
    """
    alone = "" if spec.neuron is None else f", neuron {spec.neuron}"
    return _whole_site(spec, words) + alone


def _whole_site(spec: EditSpec, words: Words | None) -> str:
    where = where_text(spec.site, spec.positions)
    if spec.action in ABLATIONS:
        prompts = 0 if spec.action == "zero" else len(spec.prompts)
        return ablation_text(spec.action, where, prompts, spec.seed)
    if spec.action == "patch":
        prompt = spec.prompts[0] if spec.prompts else None
        return patch_text(where, prompt, spec.from_positions, spec.from_layer)
    direction = "" if spec.direction is None else direction_text(spec.direction, words)
    out = spec.action == "project out"
    return steer_text(where, spec.strength, direction, project_out=out)
