"""Why a head looks where it looks: its score, source by source, exactly."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microtome.circuits.asking import Subject, precise, prompts_of
from microtome.circuits.biases import attention_reads, carried_biases, key_bias, query_bias
from microtome.circuits.carried import Carried
from microtome.circuits.coefficients import Coefficients, Rule, coefficients
from microtome.circuits.sources import Layout, node_outputs
from microtome.errors import InputError
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import Run, anatomy_in, run
from microtome.models.given import expect_known
from microtome.models.model import Model
from microtome.models.operations import per_head, project, rotate
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import HEAD, MLP, POSITION, TOKEN, component_id

_BIAS = "bias"


def attention_sources(
    model: Model,
    subject: Subject,
    layer: int,
    head: int,
    query: int,
    key: int | None = None,
    *,
    job: Job | None = None,
) -> Analysis:
    """The score of one head at one query and key as a table of query source × key source.

    A term is what one component at the query asks for times what one at the key offers. Keys
    are centred over the visible positions, because softmax ignores a constant: the table sums
    to the score (before a soft cap) minus its mean over the visible keys. Without ``key`` the
    one that gets most attention is taken. For a pair the clean run is explained. Biases have a
    row and a column of their own.
    Raises InputError for a head or position that is not there, or a key the query cannot see.
    """
    expect_known(model, "The table of an attention score")
    with torch.no_grad():
        tokens = model.tokenize(prompts_of(subject)[0])
        anatomy = anatomy_in(model.anatomy, precise(model.anatomy.embedding.dtype))
        _check(anatomy, layer, head, query, len(tokens.ids))
        clean = run(anatomy, torch.as_tensor(tokens.ids), job=job)
        ran = clean.blocks[layer].attention
        key = int(ran.pattern[head, query].argmax()) if key is None else key
        if not 0 <= key < clean.n_positions or not ran.visible[query, key]:
            raise InputError(f"Position {query} cannot look at position {key}.")
        frozen = coefficients(clean, None, Rule.SINGLE, clean.n_positions - 1)
        table = _table(clean, frozen, layer, head, (query, key))
    node = component_id(HEAD, layer, query, head)
    params = {
        "layer": layer,
        "head": head,
        "query": query,
        "key": key,
        "query_token": tokens.texts[query],
        "key_token": tokens.texts[key],
        "total": float(table.astype(np.float64).sum()),
        "score": float(ran.scores[head, query, key]),
        "attention": float(ran.pattern[head, query, key]),
    }
    return Analysis(
        f"why/{node}",
        "attention-sources",
        f"Why {node} looks at position {key}",
        _arrays(Layout.of(anatomy), layer, (query, key), table, ran.pattern[head, query]),
        params,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _arrays(
    layout: Layout,
    layer: int,
    place: tuple[int, int],
    table: NDArray[np.floating],
    attention: Tensor,
) -> dict[str, Labelled]:
    axes = ("query_source", "key_source")
    names = np.array([*(_name(layout, row) for row in range(layout.first(layer))), _BIAS])
    query_ids, key_ids = (np.array(_ids(layout, layer, position)) for position in place)
    return {
        "score": Labelled(axes, table, long_name="part of the attention score"),
        "query_source": Labelled(axes[:1], names),
        "key_source": Labelled(axes[1:], names),
        "query_node": Labelled(axes[:1], query_ids),
        "key_node": Labelled(axes[1:], key_ids),
        "attention": Labelled(("key",), attention.cpu().numpy()),
    }


def _check(anatomy: Anatomy, layer: int, head: int, query: int, count: int) -> None:
    layout = Layout.of(anatomy)
    if not (0 <= layer < layout.n_layers and 0 <= head < layout.n_heads):
        raise InputError(
            f"There is no head {head} in layer {layer}.",
            f"The model has {layout.n_layers} layers of {layout.n_heads} heads.",
        )
    if not 0 <= query < count:
        raise InputError(f"There is no position {query}.", f"The prompt has {count} tokens.")


def _table(
    clean: Run, frozen: Coefficients, layer: int, head: int, place: tuple[int, int]
) -> NDArray[np.floating]:
    query, key = place
    outputs = Carried(frozen, node_outputs(frozen, clean, None)).before(layer)
    asked = _parts(frozen, outputs, layer, keys=False)[:, head, query]
    offered = _parts(frozen, outputs, layer, keys=True)[:, head]
    visible = clean.blocks[layer].attention.visible[query]
    offered = offered[:, key] - offered[:, visible].mean(1)
    weights = frozen.attention[layer].weights
    table = weights.scale * asked @ offered.T
    if weights.bias is not None:
        fixed = weights.bias.at(clean.n_positions)[head, query]
        table[-1, -1] += fixed[key] - fixed[visible].mean()
    return table.cpu().numpy()


def _parts(frozen: Coefficients, outputs: Tensor, layer: int, *, keys: bool) -> Tensor:
    """Queries or keys [source, head, position, d_head] by source, the biases' last."""
    attention = frozen.attention[layer]
    weights = attention.weights
    weight, norm = (weights.w_k, attention.k_norm) if keys else (weights.w_q, attention.q_norm)
    read = attention.norm.apply(outputs)
    parts = []
    for one in read:
        part = rotate(norm.apply(project(one, weight, None)), weights.rotary)
        parts.append(per_head(part, weights) if keys else part)
    carried = attention_reads(frozen, layer, carried_biases(frozen)[0][layer])
    bias = key_bias(attention, carried) if keys else query_bias(attention, carried)
    return torch.stack([*parts, bias])


def _name(layout: Layout, row: int) -> str:
    kind, layer, head = layout.component(row)
    names = {TOKEN: "token", POSITION: "position", MLP: f"M{layer}"}
    return names.get(kind, f"L{layer}H{head}")


def _ids(layout: Layout, layer: int, position: int) -> list[str]:
    found = []
    for row in range(layout.first(layer)):
        kind, at, head = layout.component(row)
        found.append(component_id(kind, at, position, head))
    return [*found, ""]
