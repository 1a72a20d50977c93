"""Everything that the user makes, and the way back: undo and redo over marks and looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from psygnal import Signal

from microtome.records.analysis import Analysis
from microtome.records.edits import EditSet, EditSpec
from microtome.records.marks import Marks
from microtome_desktop.state.workspace import Workspace

_DEPTH = 200  # steps that can be taken back
EDITS = "marks/edits"  # the part that changes when nothing but edits do
FEATURE_EDITS = "marks/feature_edits"  # or nothing but edits of features
LESION_UNITS = "marks/lesion"  # or the units of a lesion
_PARTS = {
    "edits": EDITS, "edit_sets": EDITS,
    "feature_edits": FEATURE_EDITS, "feature_mode": FEATURE_EDITS, "lesion": LESION_UNITS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the user did: fields of the marks, a look, or results, before and after."""

    title: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    is_look: bool = False
    order: tuple[str, ...] | None = None  # of results: how all of the session stood before


class Book:
    """Marks belong to the session on screen; looks (thresholds, colours, layouts) to the window.

    Both change only here, so that every change can be taken back. Looks are plain JSON values
    under dotted names such as ``circuit.nodes``. Successive changes of one look, as a slider makes
    them, are one step until ``settle`` is called or something else changes.
    """

    changed = Signal(str)  # the name of a field of the marks, or of a look
    steps_changed = Signal()

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._looks: dict[str, Any] = {}
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self._open = False  # the last step may still grow
        self._uuid = ""
        workspace.session_replaced.connect(self._on_session)

    @property
    def marks(self) -> Marks:
        """The marks on the session on screen, none without a session."""
        session = self._workspace.session
        return Marks() if session is None else session.marks

    @property
    def looks(self) -> Mapping[str, Any]:
        """Every look that was changed, by name."""
        return MappingProxyType(self._looks)

    def look(self, name: str, default: Any) -> Any:
        """A look, or what it is at first."""
        return self._looks.get(name, default)

    @property
    def undo_title(self) -> str:
        """What would be taken back, empty when nothing can be."""
        return self._done[-1].title if self._done else ""

    @property
    def redo_title(self) -> str:
        """What would be done again, empty when nothing can be."""
        return self._undone[-1].title if self._undone else ""

    def mark(self, title: str, **fields: Any) -> None:
        """Change fields of the marks in one step called ``title``."""
        marks = self.marks
        after = {name: value for name, value in fields.items() if getattr(marks, name) != value}
        if after and self._workspace.session is not None:
            self._do(Step(title, {name: getattr(marks, name) for name in after}, after))
            self._open = False

    def slide(self, title: str, name: str, value: Any) -> None:
        """Change a field of the marks as a slider does: until ``settle`` all is one step."""
        before, last = getattr(self.marks, name), self._done[-1] if self._done else None
        if before == value or self._workspace.session is None:
            return
        grows = last is not None and (last.title, set(last.before)) == (title, {name})
        if self._open and last is not None and grows:
            step = Step(title, last.before, {name: value})
            self._done[-1] = step
            self._apply(step, step.after)  # what can be undone is called the same
        else:
            self._do(Step(title, {name: before}, {name: value}))
        self._open = True

    def put_results(self, title: str, after: Mapping[str, Analysis | None]) -> None:
        """Put results of the session in place or, with None, take them away, as one step."""
        session = self._workspace.session
        if session is not None:
            before = {name: session.analyses.get(name) for name in after}
            self._do(Step(title, before, dict(after), order=tuple(session.analyses)))
            self._open = False

    # edits of the model

    def add_edit(self, spec: EditSpec) -> None:
        """Try one more edit, after those that are there."""
        self.mark(f"Add the edit of {spec.site}", edits=(*self.marks.edits, spec))

    def add_edits(self, specs: tuple[EditSpec, ...]) -> None:
        """Try some more edits, as one step to take back."""
        if len(specs) == 1:
            self.add_edit(specs[0])
        else:
            self.mark(f"Add {len(specs)} edits", edits=(*self.marks.edits, *specs))

    def remove_edit(self, row: int) -> None:
        """Forget an edit."""
        held = self.marks.edits
        title = f"Remove the edit of {held[row].site}"
        self.mark(title, edits=(*held[:row], *held[row + 1 :]))

    def change_edit(self, row: int, spec: EditSpec, title: str = "") -> None:
        """Put an edit in the place of another."""
        self.mark(title or f"Change the edit of {spec.site}", edits=self._with(row, spec))

    def switch_edit(self, row: int, *, on: bool) -> None:
        """Let an edit act, or wait."""
        spec = replace(self.marks.edits[row], on=on)
        self.change_edit(row, spec, f"Switch the edit of {spec.site} {'on' if on else 'off'}")

    def set_strength(self, row: int, strength: float) -> None:
        """Steer more or less; a drag of the slider is one step until ``settle``."""
        spec = replace(self.marks.edits[row], strength=float(strength))
        self.slide(f"Strength of edit {row + 1}, {spec.site}", "edits", self._with(row, spec))

    def move_edit(self, row: int, to: int) -> None:
        """Let an edit act earlier or later than others."""
        held = list(self.marks.edits)
        spec = held.pop(row)
        held.insert(to, spec)
        self.mark(f"Move the edit of {spec.site}", edits=tuple(held))

    def clear_edits(self) -> None:
        """Forget all edits; named sets stay."""
        self.mark("Remove all edits", edits=())

    def save_edit_set(self, name: str) -> None:
        """Keep the edits under a name; a set that had it goes."""
        left = tuple(held for held in self.marks.edit_sets if held.name != name)
        kept = (*left, EditSet(name, self.marks.edits))
        self.mark(f"Save the edits “{name}”", edit_sets=kept)

    def load_edit_set(self, name: str) -> None:
        """Put the edits of a named set in the place of those that are there."""
        for held in self.marks.edit_sets:
            if held.name == name:
                self.mark(f"Edits “{name}”", edits=held.edits)

    def delete_edit_set(self, name: str) -> None:
        """Forget a named set."""
        left = tuple(held for held in self.marks.edit_sets if held.name != name)
        self.mark(f"Delete the edits “{name}”", edit_sets=left)

    def _with(self, row: int, spec: EditSpec) -> tuple[EditSpec, ...]:
        held = self.marks.edits
        return (*held[:row], spec, *held[row + 1 :])

    def set_look(self, title: str, name: str, value: Any, default: Any) -> None:
        """Change a look, seen from its first value ``default`` where it never was changed."""
        before = self._looks.get(name, default)
        if before == value:
            return
        last = self._done[-1] if self._done else None
        if self._open and last is not None and last.is_look and name in last.before:
            self._done.pop()
            before = last.before[name]
        self._do(Step(title, {name: before}, {name: value}, is_look=True))
        self._open = True

    def set_looks(self, title: str, looks: Mapping[str, Any], first: Mapping[str, Any]) -> None:
        """Change several looks in one step; ``first`` holds what each is at first."""
        after = {n: value for n, value in looks.items() if self.look(n, first[n]) != value}
        if after:
            before = {name: self.look(name, first[name]) for name in after}
            self._do(Step(title, before, after, is_look=True))
            self._open = False

    def settle(self) -> None:
        """The next change is a step of its own."""
        self._open = False

    def undo(self) -> None:
        """Take the last step back."""
        self._open = False
        if self._done:
            step = self._done.pop()
            self._undone.append(step)
            self._apply(step, step.before)
            self._told()

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        self._open = False
        if self._undone:
            step = self._undone.pop()
            self._done.append(step)
            self._apply(step, step.after)
            self._told()

    def take_looks(self, looks: Mapping[str, Any]) -> None:
        """Look at these things as a session was looked at; this is no step."""
        for name, value in looks.items():
            if self._looks.get(name) != value:
                self._looks[name] = value
                self.changed.emit(name)

    def _do(self, step: Step) -> None:
        self._undone.clear()
        self._done.append(step)
        del self._done[:-_DEPTH]
        self._apply(step, step.after)
        self.steps_changed.emit()

    def _told(self) -> None:
        self._open = False
        self.steps_changed.emit()

    def _apply(self, step: Step, values: Mapping[str, Any]) -> None:
        if step.order is not None:
            self._workspace.put_analyses(values, step.order)
            return
        if step.is_look:
            self._looks.update(values)
        else:
            # A slider of an edit must not make every panel read its pins and names again.
            parts = {_PARTS.get(name, "marks") for name in values}
            part = parts.pop() if len(parts) == 1 else "marks"
            self._workspace.change(part, marks=replace(self.marks, **values))
        for name in values:
            self.changed.emit(name)

    def _on_session(self, session: Any) -> None:
        uuid = "" if session is None else session.uuid
        if uuid == self._uuid:
            return
        self._uuid = uuid
        # Steps on the marks of another session would write onto this one.
        self._done = [step for step in self._done if step.is_look]
        self._undone = [step for step in self._undone if step.is_look]
        self._told()
