"""The slider and the player of layers, and the job that computes what they lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome_desktop.jobs.space_requests import ProjectLayers
from microtome_desktop.presenters.space import Space
from microtome_desktop.presenters.space_film import family
from microtome_desktop.presenters.space_layers import missing_layers, points_of
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_pane import SpacePane
from microtome_desktop.views.space_player import Movement, Player

if TYPE_CHECKING:
    from microtome_desktop.views.feature_space_panel import FeatureSpacePanel


class LayerWalk(QObject):
    """Walks the view that is worked in through the layers of its site."""

    def __init__(self, context: PanelContext, panel: FeatureSpacePanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self._movements: dict[SpacePane, Movement] = {}
        self._asked: tuple[str, ...] = ()
        self.player = Player(self)
        panel.bar.layer_asked.connect(self._on_slider)
        panel.bar.play_asked.connect(self.switch)
        self.player.layer_wanted.connect(self.go_to)
        self.player.stopped.connect(self.show)
        context.work.changed.connect(self._on_work)

    @property
    def _at(self) -> tuple[str, int] | None:
        return family(self._panel.active.name)

    @property
    def _last(self) -> int:
        session = self._context.workspace.session
        return 0 if session is None else session.model.n_layers - 1

    def show(self) -> None:
        """Bring slider and button in line with the view that is worked in."""
        at, session = self._at, self._context.workspace.session
        self._panel.bar.show_layers(self._last + 1 if at else 0, at[1] if at else 0)
        reason = ""
        if at is not None and session is not None and self._context.workspace.offline:
            lacking = len(missing_layers(session, f"{at[0]}.0"))
            few = self._last + 1 - lacking < 2
            reason = "Needs the model: attach it to project the other layers." if few else ""
        self._panel.bar.show_player(playing=self.player.playing, reason=reason)

    def switch(self) -> None:
        """Play, or stop playing."""
        if self.player.playing:
            self.player.stop()
        elif self._at is not None:
            self.player.play(self._at[1], self._last)
            self.show()

    def stop(self) -> None:
        """Stop playing."""
        self.player.stop()

    def _on_slider(self, layer: int) -> None:
        self.player.stop()
        self.go_to(layer)

    def go_to(self, layer: int) -> None:
        """Move the points to another layer, once it is projected."""
        at, session, pane = self._at, self._context.workspace.session, self._panel.active
        if at is None or session is None:
            return
        site = f"{at[0]}.{layer}"
        pane.aligned = True
        pane.choose(site)
        missing = missing_layers(session, site)
        if site in missing:
            self._lacks(site, missing)
            return
        self._panel.draw(pane)
        self.show()

    def _lacks(self, site: str, missing: tuple[str, ...]) -> None:
        pane, workspace = self._panel.active, self._context.workspace
        self.show()
        if workspace.offline:
            pane.caption.setText(f"{site} was not projected, and the model is not here.")
            self.player.skip()
            return
        pane.caption.setText(f"{site} is being projected…")
        if site not in self._asked and workspace.session is not None:
            self._asked = missing
            self._context.ask(ProjectLayers(missing, points_of(workspace.session, site)))

    def waits_for(self, site: str | None) -> bool:
        """Whether a job that computes this layer is under way."""
        return site in self._asked

    def moved(self, pane: SpacePane, target: Space) -> bool:
        """Move the points there where that makes sense; False when they have to be drawn anew."""
        movement = self._movements.get(pane)
        if movement is not None and movement.end is target:
            return True
        before = pane.drawing
        if before is target and pane.aligned:
            self._arrived(pane)
        if before is None or before is target or not pane.aligned or before.by != target.by:
            self.forget(pane)
            if pane.aligned and before is not target:
                self._context.later((self, "shown"), lambda: self._arrived(pane))
            return False
        if movement is None:
            movement = self._movements[pane] = Movement(pane)
            movement.arrived.connect(lambda: self._arrived(pane))
        movement.go(target, self._panel.tints)
        return True

    def forget(self, pane: SpacePane) -> None:
        """Nothing moves in this view any more."""
        movement = self._movements.get(pane)
        if movement is not None:
            movement.drop()

    def _arrived(self, pane: SpacePane) -> None:
        self._panel.highlight(pane)
        if pane is self._panel.active and self._at is not None:
            self.player.shown(self._at[1])

    def _on_work(self) -> None:
        """The job that was asked for may have been stopped."""
        if self._asked and not any(
            piece.under_way and piece.title.startswith("Projecting")
            for piece in self._context.work.pieces
        ):
            session, asked = self._context.workspace.session, self._asked
            self._asked = ()
            waiting = self._panel.active.name
            if (
                session is not None
                and waiting in asked
                and waiting in missing_layers(session, waiting)
            ):
                self._context.later((self, "given up"), self._give_up)

    def _give_up(self) -> None:
        """It was stopped, or it failed: unless the layer came with the last of it."""
        session, pane = self._context.workspace.session, self._panel.active
        if session is not None and pane.name in missing_layers(session, pane.name or ""):
            self.player.stop()
            self._panel.draw(pane)
