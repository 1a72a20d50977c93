"""One edge taken away for real, in the model's arithmetic.

Hooks reach what a component writes; an edge is what one component reads of another, so its
target is computed again from a changed input, and the run goes on with that.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from microtome.circuits.carried import Carried
from microtome.circuits.sources import Layout
from microtome.errors import InputError
from microtome.models.arithmetic import Run, head_outputs, run, run_mlp
from microtome.models.operations import normalise
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

    def read_of(self, carried: Carried) -> Float[Tensor, "component position d_model"]:
        """What components wrote, as the edge's target reads it."""
        if self.kind is EdgeKind.OUT:
            return carried.end()
        return (
            carried.middle(self.layer) if self.kind is EdgeKind.MLP else carried.before(self.layer)
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
    new = target_without_edge(before, ends, output)
    site, layer = {
        EdgeKind.OUT: ("resid_post", len(before.blocks) - 1),
        EdgeKind.MLP: ("mlp_out", ends.layer),
    }.get(ends.kind, ("z", ends.layer))
    place = (ends.head, ends.position) if site == "z" else ends.position

    def edit(name: str, at: int, values: Tensor) -> Tensor:
        if (name, at) == (site, layer):
            values = values.clone()
            values[place] = new
        return values

    return run(before.anatomy, before.ids, edit=edit)


def target_without_edge(
    before: Run, ends: EdgeEnds, output: Float[Tensor, " d_model"]
) -> Float[Tensor, " d"]:
    """What the edge's target gives when it does not read ``output`` from its source.

    A head gives ``z``, an MLP what it adds to the residual stream, and the metric's end is the
    residual stream itself.
    """
    if ends.kind is EdgeKind.OUT:
        return before.final[ends.position] - output
    block, ran = before.anatomy.blocks[ends.layer], before.blocks[ends.layer]
    if ends.kind is EdgeKind.MLP:
        stream = _less(ran.mlp_from, ends.source_position, output)
        return normalise(block.mlp_norm, run_mlp(block, stream).out)[ends.position]
    changed = _less(ran.resid_pre, ends.source_position, output)
    order = (EdgeKind.QUERY, EdgeKind.KEY, EdgeKind.VALUE)
    streams = [changed if ends.kind is kind else ran.resid_pre for kind in order]
    return head_outputs(block, *streams)[ends.head, ends.position]


def _less(stream: Tensor, position: int, output: Tensor) -> Tensor:
    changed = stream.clone()
    changed[position] -= output
    return changed
