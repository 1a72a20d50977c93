"""Finding out by running it where a decoder of no known family can be read and edited.

Nothing is believed for its name alone. The layers are the one list of modules that the residual
stream runs through; a branch is what adds up to what its layer writes; the norm before the
unembedding is what gave the unembedding its input. Each finding is measured on a few tokens, and
what does not come out is left out with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from microtome.errors import UnknownArchitecture
from microtome.models import attention
from microtome.models.branches import branches
from microtome.models.outline import Ending, Outline, Widths
from microtome.models.ports import Port, plain_port
from microtome.models.recording import Recording, record

_LENGTH = 5
_WITHIN = ("rot_q", "rot_k", "scores", "pattern", "z")
_NO_FUNCTION = "its layers call no attention function that another could take the place of"
_SOME_LAYERS = "not every layer attends once, by one function that can be read"
_OTHER_ANSWER = "its attention does more than a function can show: read there, its logits change"


def sketch(model_type: str) -> Outline | None:
    """The outline of an architecture before its weights are read; None for no decoder at all."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    name = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(model_type)
    return Outline(model_type=model_type, class_name=name) if isinstance(name, str) else None


def takes_attention(model_class: Any, config: Any) -> str | None:
    """Our attention function where a class can be told to use it, else what it has: eager, or none.

    Asked of a model without weights.
    """
    for name in (attention.NAME, "eager"):
        try:
            with torch.device("meta"):
                model_class._from_config(deepcopy(config), attn_implementation=name)  # noqa: SLF001
        except (KeyError, ValueError):
            continue
        return name
    return None


def layer_lists(module: nn.Module, title: str) -> tuple[str, ...]:
    """Paths of the lists that may be a model's layers: as long as the config says it has.

    Raises UnknownArchitecture when there is none.
    """
    config: Any = module.config
    count = getattr(config.get_text_config(decoder=True), "num_hidden_layers", None)
    found = [
        path
        for path, part in module.named_modules()
        if isinstance(part, nn.ModuleList) and len(part) == count
    ]
    outer = tuple(path for path in found if not any(path.startswith(f"{o}.") for o in found))
    if not outer:
        raise _refusal(title, f"no list of modules has as many members as it has layers ({count})")
    return outer


def discover(module: nn.Module, row: Outline) -> Outline:
    """The outline of a loaded decoder: what of it can be read and edited.

    Its attention is left exchanged for Microtome's function where that changes nothing.
    Raises UnknownArchitecture for a model whose residual stream cannot be found, or that looks
    ahead.
    """
    lists = layer_lists(module, row.title)
    ids = _some_tokens(module)
    absent: dict[str, str] = {}
    try:
        exchanged = _exchange(module, ids, absent)
        found = record(module, ids)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _refusal(row.title, f"it does not run on tokens alone ({error})") from error
    _refuse_looking_ahead(module, ids, found.logits, row.title)
    path = _the_layers(found, lists, row.title)
    blocks: Any = module.get_submodule(path)
    first, last = found.of(f"{path}.0"), found.of(f"{path}.{len(blocks) - 1}")
    ports = {"resid_pre": plain_port("", "before"), "resid_post": plain_port("", "after")}
    widths = Widths(d_model=first.given.shape[-1])
    attending = None
    if exchanged:
        attending, widths, inside = _attention(found, path, len(blocks), widths, absent)
        ports |= inside
    ports |= branches(found, path, len(blocks), attending, absent)
    ending, ends = _ending(module, found, last.made[0], absent)
    ports |= _embedding(module, found, widths, absent) | ends
    return replace(
        row,
        blocks=path,
        n_layers=len(blocks),
        widths=widths,
        ports=MappingProxyType(ports),
        ending=ending,
        exchanged=exchanged,
        absent=MappingProxyType(absent),
        notes=_notes(ending),
    )


def _refusal(title: str, why: str) -> UnknownArchitecture:
    return UnknownArchitecture(
        f"{title} is no known family, and where its layers write could not be found out: {why}.",
        "Open a model of a known family; docs/families.md lists them.",
    )


def _some_tokens(module: nn.Module) -> Tensor:
    """A few different tokens, the same every time."""
    config: Any = module.config
    size = int(config.get_text_config(decoder=True).vocab_size)
    ids = torch.linspace(0, size - 1, _LENGTH + 2).long()[1:-1]
    return ids[None].to(next(module.parameters()).device)


# ---------------------------------------------------------------------- attention


def _exchange(module: nn.Module, ids: Tensor, absent: dict[str, str]) -> bool:
    """Whether attention runs through our function; where that changes the logits it does not."""
    config: Any = module.config
    if config._attn_implementation != attention.NAME:  # noqa: SLF001
        absent |= dict.fromkeys(_WITHIN, _NO_FUNCTION)
        return False
    ours = _logits(module, ids)
    module.set_attn_implementation("eager")  # type: ignore[operator]
    theirs = _logits(module, ids)
    if not alike(ours, theirs):
        absent |= dict.fromkeys(_WITHIN, _OTHER_ANSWER)
        return False
    module.set_attn_implementation(attention.NAME)  # type: ignore[operator]
    return True


def _attention(
    found: Recording, blocks: str, n_layers: int, widths: Widths, absent: dict[str, str]
) -> tuple[str | None, Widths, Mapping[str, Port]]:
    """The module that attends, from its block; heads and their width; what can be read in it."""
    paths = {
        path.removeprefix(f"{blocks}.").partition(".")[2]
        for path, calls in found.attended.items()
        if path.startswith(f"{blocks}.") and len(calls) == len(_WITHIN)
    }
    path = next(iter(paths), "")
    shapes = [found.attended.get(f"{blocks}.{layer}.{path}", {}) for layer in range(n_layers)]
    if not found.attended:
        absent |= dict.fromkeys(_WITHIN, _NO_FUNCTION)
        return None, widths, {}
    if len(paths) != 1 or any(shape != shapes[0] for shape in shapes) or found.attended_twice:
        absent |= dict.fromkeys(_WITHIN, _SOME_LAYERS)
        return path or None, widths, {}
    held = shapes[0]
    heads, d_head = held["z"][-2:]
    names = ["scores", "pattern", "z"]
    if held["rot_q"][-1] == held["rot_k"][-1] == d_head:
        names += ["rot_q", "rot_k"]
    else:
        reason = "queries and keys have another width than head outputs"
        absent |= dict.fromkeys(("rot_q", "rot_k"), reason)
    found_widths = replace(widths, n_heads=heads, n_kv_heads=held["rot_k"][-2], d_head=d_head)
    return path, found_widths, {name: plain_port(path, "within") for name in names}


# ---------------------------------------------------------------------- ends of the stream


def _the_layers(found: Recording, lists: tuple[str, ...], title: str) -> str:
    """The one list whose members the residual stream runs through, one after another."""
    fitting = [path for path in lists if _is_run_through(found, path)]
    if len(fitting) != 1:
        named = ", ".join(lists)
        raise _refusal(title, f"the stream runs through {len(fitting)} of the lists {named}")
    return fitting[0]


def _is_run_through(found: Recording, path: str) -> bool:
    members = list(_members(found, path))
    if not members or any(not found.holds(member) for member in members):
        return False
    calls = [found.of(member) for member in members]
    shape = calls[0].given.shape
    in_order = [call.turn for call in calls]
    return in_order == sorted(in_order) and all(
        call.given.shape == call.made.shape == shape for call in calls
    )


def _members(found: Recording, path: str) -> Iterator[str]:
    count = 0
    while f"{path}.{count}" in found.names:
        yield f"{path}.{count}"
        count += 1


def _embedding(
    module: nn.Module, found: Recording, widths: Widths, absent: dict[str, str]
) -> dict[str, Port]:
    path = found.path_of(module.get_input_embeddings())  # type: ignore[operator]
    if path is None or not found.makes(path, widths.d_model):
        absent["embed"] = "its token embedding is not as wide as its residual stream"
        return {}
    return {"embed": plain_port(path, "after")}


def _ending(
    module: nn.Module, found: Recording, last: Tensor, absent: dict[str, str]
) -> tuple[Ending | None, dict[str, Port]]:
    """The final norm and unembedding, kept only if they give the model's own logits."""
    head = module.get_output_embeddings()  # type: ignore[operator]
    path = found.path_of(head)
    absent["final_norm"] = absent["lens"] = "its unembedding could not be found"
    if path is None or not isinstance(head, nn.Linear) or not found.reads(path, last.shape[-1]):
        return None, {}
    read = found.given(path)
    norm = None if torch.equal(read, last) else found.between(last, read)
    if norm is None and not torch.equal(read, last):
        absent["final_norm"] = absent["lens"] = (
            "no one module leads from its last layer to its unembedding"
        )
        return None, {}
    ports = {} if norm is None else {"final_norm": plain_port(norm, "after")}
    if norm is None:
        absent["final_norm"] = "there is none"
    else:
        del absent["final_norm"]
    ending = _fitted(Ending(None if norm is None else module.get_submodule(norm), head), found)
    wide = last.to(torch.promote_types(last.dtype, torch.float32))
    if not alike(ending.logits(wide), found.logits):
        absent["lens"] = "the last layer, read by final norm and unembedding, is not its logits"
        return None, ports
    del absent["lens"]
    return ending, ports


def _notes(ending: Ending | None) -> tuple[str, ...]:
    if ending is None:
        return ()
    done = (("multiplied by", ending.factor), ("capped at", ending.cap))
    return tuple(f"its logits are {how} {by:.6g}" for how, by in done if by not in (1.0, None))


def _fitted(ending: Ending, found: Recording) -> Ending:
    """With what the model does to its logits afterwards: a cap of its config's, or one factor."""
    config: Any = found.config
    last = found.given(found.path_of(ending.unembedding) or "")
    wide = last.to(torch.promote_types(last.dtype, torch.float32))
    raw = ending.raw_logits(wide, slice(None)).double()
    for key in ("final_logit_softcapping", "logits_soft_cap"):
        cap = getattr(config, key, None)
        if cap and alike(replace(ending, cap=float(cap)).capped(raw), found.logits):
            return replace(ending, cap=float(cap))
    square = float(raw.square().sum())
    factor = float((raw * found.logits.double()).sum()) / square if square else 1.0
    return ending if abs(factor - 1) < _CLOSE[last.dtype] else replace(ending, factor=factor)


# ---------------------------------------------------------------------- agreement

# The largest difference that is rounding, relative to the largest logit.
_CLOSE = {
    torch.float64: 1e-6,
    torch.float32: 1e-4,
    torch.bfloat16: 5e-2,
    torch.float16: 1e-2,
}


def alike(found: Tensor, expected: Tensor) -> bool:
    """Whether two results of a model differ by its rounding alone."""
    allowed = _CLOSE[expected.dtype] * max(1.0, float(expected.abs().max()))
    return bool((found.to(expected.dtype) - expected).abs().max() <= allowed)


def _logits(module: nn.Module, ids: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = module(input_ids=ids, use_cache=False).logits[0]
    return logits


def _refuse_looking_ahead(module: nn.Module, ids: Tensor, logits: Tensor, title: str) -> None:
    other = ids.clone()
    other[0, -1] = ids[0, 0]
    if not alike(_logits(module, other)[:-1], logits[:-1]):
        raise _refusal(title, "its positions see what comes later, so that it is no decoder")
