"""One draw of a scrubbed run: from reader to reader, each from the inputs that fall to it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.circuits.discovery.reading import mlp_output
from microtome.circuits.scrubbing.binding import Bound, Reader
from microtome.circuits.scrubbing.drawing import agreeing, anything
from microtome.circuits.scrubbing.streams import Written, head_output
from microtome.jobs import Job


@dataclass(slots=True, eq=False)
class Passing:
    """The scrubbed pass over inputs of one length.

    ``codes`` say of each box where inputs agree on its claim, ``spoken`` of which positions it
    speaks. ``taken`` is filled with the input that each wire was read from.
    """

    bound: Bound
    written: Written
    codes: tuple[Int[np.ndarray, "input position"], ...]
    spoken: tuple[Int[np.ndarray, " place"], ...]
    rng: np.random.Generator
    job: Job
    taken: list[Int[np.ndarray, "input position"]] = field(default_factory=list)
    _values: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    _draws: dict[int, Int[np.ndarray, "input position"]] = field(default_factory=dict)

    def run(self) -> Float[Tensor, "input position d_model"]:
        """The stream that the logits are read from, for every input as the reference."""
        streams: list[Tensor] = []
        for reader in self.bound.readers:
            self.job.check()
            streams.append(self._stream(reader))
            box, node = reader.box, reader.node
            if box < 0:
                break
            head = self._head(node)
            if head is None:
                block = self.written.anatomy.blocks[self._layer(node)]
                self._values[box, node] = mlp_output(block, streams.pop())
            elif len(streams) == 3:
                block = self.written.anatomy.blocks[self._layer(node)]
                self._values[box, node] = head_output(block, head, *streams)
                streams = []
        return streams[-1]

    def _layer(self, node: int) -> int:
        return (node - 1) // (self.bound.edges.n_heads + 1)

    def _head(self, node: int) -> int | None:
        """The number of a head in its layer, None for an MLP."""
        head = (node - 1) % (self.bound.edges.n_heads + 1)
        return head if head < self.bound.edges.n_heads else None

    def _stream(self, reader: Reader) -> Float[Tensor, "input position d_model"]:
        """What a reader reads, for every reference."""
        _, count, length, _ = self.written.values.shape
        at = torch.arange(length)
        total = self.written.constants(reader.number).expand(count, length, -1).clone()
        for writer, arrow in enumerate(reader.sources):
            plain = self.written.values[writer]
            drawn = anything(count, length, self.rng)
            if arrow < 0:
                total += plain[torch.from_numpy(drawn), at]
            else:
                source = self.bound.arrow_sources[arrow]
                spoken = self.spoken[source]
                drawn[:, spoken] = self._drawn(arrow)[:, spoken]
                own = self._values.get((source, writer), plain)  # the input is a leaf
                rows = torch.from_numpy(drawn)
                brought = plain[rows, at]
                here = torch.from_numpy(spoken)
                brought[:, here] = own[rows[:, here], here]
                total += brought
            self.taken.append(drawn.astype(np.int32))
        return total

    def _drawn(self, arrow: int) -> Int[np.ndarray, "input position"]:
        """One draw for an arrow: all nodes of its source come from the same inputs."""
        if arrow not in self._draws:
            codes = self.codes[self.bound.arrow_sources[arrow]]
            self._draws[arrow] = agreeing(codes, self.rng)
        return self._draws[arrow]
