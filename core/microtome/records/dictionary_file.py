"""What a file of a sparse dictionary is, as far as its settings and headers tell."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.errors import file_size
from microtome.records.dictionary import DictionaryIdentity

ONE, SET, CROSSING = "dictionary", "transcoder set", "cross-layer transcoder"


@dataclass(frozen=True, slots=True)
class DictionaryFile:
    """A file or folder that was looked at and not loaded.

    ``identity`` has no fingerprint yet; that of a set is the one of its layers, with sites that
    name no layer. ``problem`` says why it cannot be loaded, empty when it can. ``notes`` say what
    was decided where the file leaves room.
    """

    identity: DictionaryIdentity
    format: str  # a row of ``microtome.features.formats.files``
    title: str
    nbytes: int  # of all files that loading reads
    dtype: str = "float32"  # as stored; a dictionary computes in float32
    kind: str = ONE
    n_layers: int = 1
    problem: str = ""
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """What it is, as names and values to show before it is loaded."""
        held = self.identity
        written = "" if held.d_out == held.d_in else f" → {held.d_out:,}"
        rows = (
            ("Format", self.title),
            ("Architecture", held.architecture),
            ("Layers", str(self.n_layers) if self.kind != ONE else ""),
            ("Reads", held.reads or "not told"),
            ("Writes", held.writes if held.is_transcoder else ""),
            ("Width", f"{held.d_in:,}{written}"),
            ("Features", f"{held.d_sae:,}" + (" a layer" if self.kind != ONE else "")),
            ("Model", held.model or "not told"),
            ("Size", f"{file_size(self.nbytes)} in {self.dtype}"),
            *(("Note", note) for note in self.notes),
            ("Problem", self.problem),
        )
        return tuple(row for row in rows if row[1])

    def __str__(self) -> str:
        """One row a line."""
        return "\n".join(f"{name:<13} {value}" for name, value in self.rows)
