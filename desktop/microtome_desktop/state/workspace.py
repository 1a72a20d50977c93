"""What the window works on: the loaded model and the session on screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from psygnal import Signal

from microtome.records.analysis import Analysis
from microtome.records.made import stamped
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome_desktop.state.arrays import Arrays
from microtome_desktop.state.prepared import Prepared


class Workspace:
    """The model that is loaded (its identity only) and the session that is shown.

    The session is a frozen value; every change replaces it and emits what changed, so that a
    save can take it as it is. ``part`` names are the fields of ``Session``,
    ``analyses/<id>`` for a single analysis, or ``marks/edits`` for those marks alone.
    """

    model_changed = Signal(object)  # ModelIdentity | None
    session_replaced = Signal(object)  # Session | None: all panels start afresh
    part_changed = Signal(str)  # one part of the session on screen changed
    dirty_changed = Signal(bool)
    path_changed = Signal(object)  # Path | None: the file of the session on screen

    def __init__(self) -> None:
        self.arrays = Arrays()
        self.prepared = Prepared()
        self._model: ModelIdentity | None = None
        self._session: Session | None = None
        self._path: Path | None = None
        self._note = ""
        self._dirty = False

    @property
    def model(self) -> ModelIdentity | None:
        """The model in the model thread, None when none is loaded."""
        return self._model

    @property
    def session(self) -> Session | None:
        """The session on screen."""
        return self._session

    @property
    def path(self) -> Path | None:
        """The file of the session, None when it was never saved."""
        return self._path

    @property
    def note(self) -> str:
        """Why the file of the session is only looked at, empty when it can be saved to."""
        return self._note

    @property
    def dirty(self) -> bool:
        """Whether there is something that no file holds yet."""
        return self._dirty

    @property
    def offline(self) -> bool:
        """Whether the session on screen has no matching model behind it."""
        if self._session is None:
            return self._model is None
        return self._model is None or self._model.fingerprint != self._session.model.fingerprint

    def set_model(self, model: ModelIdentity | None) -> None:
        """A model was loaded, or dropped."""
        self._model = model
        self.model_changed.emit(model)

    def show(
        self,
        session: Session | None,
        path: Path | None = None,
        *,
        dirty: bool = True,
        note: str = "",
    ) -> None:
        """Show a session: a new run, or one opened from ``path``, that with a ``note`` stays."""
        if self._session is None or session is None or self._session.uuid != session.uuid:
            self.prepared.clear()
        self._session, self._path, self._note = session, path, note
        self.arrays.use(session)
        self.session_replaced.emit(session)
        self._set_dirty(dirty and session is not None)

    def change(self, part: str, **fields: Any) -> None:
        """Replace fields of the session on screen and say which part changed."""
        if self._session is None:
            return
        self._session = self._with(**fields)
        self.arrays.use(self._session)
        self.part_changed.emit(part)
        self._set_dirty(True)

    def add_analysis(self, analysis: Analysis) -> None:
        """Add or replace one analysis of the session on screen."""
        if self._session is not None:
            held = {**self._session.analyses, analysis.id: analysis}
            self.change(f"analyses/{analysis.id}", analyses=MappingProxyType(held))

    def grow_analysis(self, analysis: Analysis) -> None:
        """Show what there is so far of an analysis, but never in the place of the whole one."""
        held = None if self._session is None else self._session.analyses.get(analysis.id)
        if held is None or not held.whole:
            self.add_analysis(analysis)

    def put_analyses(
        self, wanted: Mapping[str, Analysis | None], order: Sequence[str] = ()
    ) -> None:
        """Put analyses in place or, with None, take them away; those back stand as in ``order``."""
        if self._session is None:
            return
        held: dict[str, Analysis | None] = {**self._session.analyses, **wanted}
        kept = {name: one for name, one in held.items() if one is not None}
        known = [name for name in order if name in kept]
        places = iter(known)  # those of the order among themselves, all others where they are
        names = [next(places) if name in known else name for name in kept]
        self._session = self._with(analyses=MappingProxyType({name: kept[name] for name in names}))
        for name in wanted:
            self.part_changed.emit(f"analyses/{name}")
        self._set_dirty(True)

    def saved(self, path: Path) -> None:
        """The session on screen is in this file now."""
        self._path, self._note = path, ""
        self.path_changed.emit(path)
        self._set_dirty(False)

    def mark_clean(self) -> None:
        """Nothing here is worth a question on closing, as with the example of the start."""
        self._set_dirty(False)

    def mark_dirty(self) -> None:
        """There is something that no file holds, after all."""
        self._set_dirty(True)

    def _with(self, **fields: Any) -> Session:
        """The session with other fields; what is new in it is stamped by the loaded model."""
        assert self._session is not None  # noqa: S101 - looked at by whoever calls
        if self._model is not None and not self.offline:
            maker = self._model
            held: Mapping[str, Analysis] = fields.get("analyses", {})
            if any(each.made is None for each in held.values()):
                by_id = {name: stamped(each, maker) for name, each in held.items()}
                fields["analyses"] = MappingProxyType(by_id)
            if fields.get("circuit") is not None:
                fields["circuit"] = stamped(fields["circuit"], maker)
        return replace(self._session, **fields)

    def _set_dirty(self, dirty: bool) -> None:
        if dirty != self._dirty:
            self._dirty = dirty
            self.dirty_changed.emit(dirty)
