"""How many examples and runs go together within a budget of memory."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.models.anatomy import Anatomy
from microtome.records.edges import Edges

_MOST = 64  # examples at a time, so that partial results come


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a run with its way back, of an example's edges beside it, and what there is."""

    run: int
    example: int
    ground: int  # of an example that edges are taken away from
    changed: int  # of a run with edges taken away
    budget: int

    @classmethod
    def of(cls, anatomy: Anatomy, length: int, budget: int) -> Room:
        """The room for examples of a length."""
        edges = Edges.of(anatomy)
        number = anatomy.embedding.element_size()
        stream = number * length * anatomy.d_model
        scores = number * edges.n_heads * length * length
        return cls(
            run_bytes(anatomy, length),
            (2 * edges.n_writers + edges.n_readers) * stream,
            (2 * edges.n_writers + edges.n_layers + 1) * stream,
            (2 * edges.n_writers + 6 * edges.n_heads + 8) * stream + 4 * scores,
            budget,
        )

    @property
    def runs(self) -> int:
        """Runs that go back together beside one example's edges; one at least."""
        return max(1, (self.budget - self.example) // self.run)

    @property
    def share(self) -> int:
        """A fifth: batches that are kept, the one at work, the one before it, and the passes."""
        return self.budget // 5  # and what runs need beside them

    @property
    def grounded(self) -> int:
        """Examples that edges are taken away from together; one at least."""
        return min(_MOST, max(1, self.share // self.ground))

    @property
    def replaced(self) -> int:
        """Runs that edges are taken away from together; one at least."""
        return max(1, self.share // self.changed)

    @property
    def paired(self) -> int:
        """Examples that are run together beside those that were; one at least."""
        return max(1, self.share // (2 * self.run))

    def examples(self, runs: int) -> int:
        """Examples with so many runs each that go together; one at least."""
        return min(_MOST, max(1, self.budget // (self.example + (runs + 2) * self.run)))


def run_bytes(anatomy: Anatomy, length: int) -> int:
    """Bytes that a run, its linear maps and its way back hold."""
    block = anatomy.blocks[0]
    weights, mlp = block.attention, block.mlp
    heads, d_head = weights.w_q.shape[:2]
    # Streams and norms, what neurons read and hand back, keys and queries; measured.
    row = 14 * anatomy.d_model + 4 * mlp.n_neurons + 6 * heads * d_head
    scores = 6 * heads * length * length
    number = anatomy.embedding.element_size()
    return int(number * len(anatomy.blocks) * (length * row + scores))
