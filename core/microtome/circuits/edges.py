"""One edge taken away for real, in the model's arithmetic.

Hooks reach what a component writes; an edge is what one component reads of another, so its
target is computed again from a changed input, and the run goes on with that.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from microtome.circuits.sources import Layout
from microtome.errors import InputError
from microtome.models.arithmetic import Edit, Run, head_outputs, normalise, run, run_mlp
from microtome.records.circuit import HEAD, MLP, POSITION, TOKEN, Circuit, EdgeKind


@dataclass(frozen=True, slots=True)
class EdgeEnds:
    """Where an edge starts and ends, and through which input it acts."""

    source_kind: str
    source_layer: int
    source_head: int
    source_position: int
    layer: int
    head: int
    position: int
    kind: EdgeKind

    @classmethod
    def of(cls, circuit: Circuit, source: str, target: str, kind: int) -> EdgeEnds:
        """The ends of an edge between two nodes of a component graph.

        Raises InputError for nodes that the circuit does not have.
        """
        for name in (source, target):
            if name not in circuit.node_id:
                raise InputError(f"The circuit has no node {name}.", "Choose one that is drawn.")
        start, end = circuit.row(source), circuit.row(target)
        return cls(
            circuit.node_kind[start],
            int(circuit.node_layer[start]),
            int(circuit.node_head[start]),
            int(circuit.node_position[start]),
            int(circuit.node_layer[end]),
            int(circuit.node_head[end]),
            int(circuit.node_position[end]),
            EdgeKind(kind),
        )

    def source_row(self, layout: Layout) -> int:
        """The row of the component at the edge's start."""
        if self.source_kind == HEAD:
            return layout.first(self.source_layer) + self.source_head
        if self.source_kind == MLP:
            return layout.mlp(self.source_layer)
        return (TOKEN, POSITION).index(self.source_kind)


def run_without_edge(before: Run, ends: EdgeEnds, output: Float[Tensor, " d_model"]) -> Run:
    """The run in which the edge's target does not read ``output`` from its source.

    The target's norm and softmax act on the changed input; what follows the target is free.
    """
    return run(before.anatomy, before.ids, edit=_edit(before, ends, output))


def _edit(before: Run, ends: EdgeEnds, output: Tensor) -> Edit:
    if ends.kind is EdgeKind.OUT:
        last, row = len(before.blocks) - 1, before.final[ends.position] - output
        return _row_at("resid_post", last, ends.position, row)
    if ends.kind is EdgeKind.MLP:
        block = before.anatomy.blocks[ends.layer]
        stream = _less(before.blocks[ends.layer].mlp_from, ends.source_position, output)
        written = normalise(block.mlp_norm, run_mlp(block, stream).out)
        return _row_at("mlp_out", ends.layer, ends.position, written[ends.position])
    z = _head_output(before, ends, output)
    return _head_at(ends, z)


def _head_output(before: Run, ends: EdgeEnds, output: Tensor) -> Tensor:
    whole = before.blocks[ends.layer].resid_pre
    changed = _less(whole, ends.source_position, output)
    streams = [
        changed if ends.kind is kind else whole
        for kind in (EdgeKind.QUERY, EdgeKind.KEY, EdgeKind.VALUE)
    ]
    z = head_outputs(before.anatomy.blocks[ends.layer], *streams)
    return z[ends.head, ends.position]


def _less(stream: Tensor, position: int, output: Tensor) -> Tensor:
    changed = stream.clone()
    changed[position] -= output
    return changed


def _row_at(site: str, layer: int, position: int, row: Tensor) -> Edit:
    def edit(name: str, at: int, value: Tensor) -> Tensor:
        if (name, at) == (site, layer):
            value = value.clone()
            value[position] = row
        return value

    return edit


def _head_at(ends: EdgeEnds, z: Tensor) -> Edit:
    def edit(name: str, at: int, value: Tensor) -> Tensor:
        if (name, at) == ("z", ends.layer):
            value = value.clone()
            value[ends.head, ends.position] = z
        return value

    return edit
