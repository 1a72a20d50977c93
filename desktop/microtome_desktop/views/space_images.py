"""Images in the feature space: their thumbnails, asking about one, layers and sets to choose."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QPointF, Qt
from PySide6.QtWidgets import QFrame, QLabel, QMenu, QVBoxLayout, QWidget

from microtome.records.seen import LayerOutline
from microtome_desktop import palette as colours
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.requests import ProjectSite
from microtome_desktop.jobs.space_requests import ProjectImages
from microtome_desktop.presenters.space import projection_of
from microtome_desktop.presenters.space_images import Thumbnail, asked_again, thumbnail
from microtome_desktop.views.image_view import ImageView
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.sight_outline import sight_outline
from microtome_desktop.views.space_pane import SpacePane

if TYPE_CHECKING:
    from microtome_desktop.views.feature_space_panel import FeatureSpacePanel

_SIDE = 96  # pixels of a thumbnail
_BESIDE = 14
ASK = "Ask about this image"
_TOO_SMALL = "Its set is not here, and the session keeps a small picture of it alone."


class ThumbnailTip(QFrame):
    """The image under the cursor, and what it is; the pointer passes through it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._over = parent
        self.setObjectName("space_thumbnail")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName("image under the pointer")
        self.image, self.told = ImageView(side=_SIDE), QLabel()
        self.image.setFixedSize(_SIDE + 2, _SIDE + 2)
        self.told.setTextFormat(Qt.TextFormat.PlainText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(7, 7, 7, 6)
        layout.setSpacing(4)
        layout.addWidget(self.image, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(self.told)
        self.hide()

    def tell(self, shown: Thumbnail, at: QPointF) -> None:
        """Show it beside a place of the parent, inside the parent."""
        self.setStyleSheet(
            f"#space_thumbnail {{ background: {colours.RAISED}; border: 1px solid {colours.LINE};"
            f" border-radius: 6px; }} #space_thumbnail QLabel {{ color: {colours.TEXT}; }}"
        )
        self.image.show_image(shown.values)
        if shown.part is not None:
            self.image.mark(*shown.part)
        self.told.setText(shown.text)
        self.adjustSize()
        room = self._over.rect()
        x, y = int(at.x()) + _BESIDE, int(at.y()) + _BESIDE
        if x + self.width() > room.width() - 4:
            x = int(at.x()) - self.width() - _BESIDE
        y = max(4, min(y, room.height() - self.height() - 4))
        self.move(max(4, x), y)
        self.raise_()
        self.show()


class ImagePoints(QObject):
    """What the panel does besides where its points are images and not tokens."""

    def __init__(self, context: PanelContext, panel: FeatureSpacePanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self.tip = ThumbnailTip(panel)
        panel.grid.left.connect(self.tip.hide)
        panel.grid.opened.connect(self.ask)
        panel.bar.images.activated.connect(self._on_set)
        context.workspace.prepared.arrived.connect(self._on_prepared)

    # what there is to choose

    @property
    def layers(self) -> tuple[LayerOutline, ...]:
        """The layers of units of the session's model, as far as they are known.

        They are asked for behind other tabs too: commands choose a layer there, and the session
        keeps it.
        """
        outline = sight_outline(self._context, ask=True)
        return () if outline is None else outline.layers

    def _on_prepared(self, key: object) -> None:
        if isinstance(key, tuple) and key[:1] == ("sight",):
            self._context.later((self, "sight"), self._offer_layers)

    def _offer_layers(self) -> None:
        for pane in self._panel.panes:
            self._panel.offer(pane)

    def show(self) -> None:
        """Offer the sets of images to a model that sees; the one that is drawn is chosen."""
        session, seen = self._context.workspace.session, self._context.library.shelf.facts.seen
        if session is None or not session.model.sees:
            self._panel.bar.offer_images((), "")
            return
        here = seen is not None and not self._context.workspace.offline
        found = projection_of(session, self._panel.active.name)
        drawn = "" if found is None else str(found.params.get("images", ""))
        names = [held.name for held in seen.sets] if here and seen is not None else []
        names += [drawn] if drawn and drawn not in names else []
        chosen = drawn or self._panel.bar.images.currentText() or next(iter(names), "")
        self._panel.bar.offer_images(names, chosen)

    def projecting(self, site: str) -> Request:
        """What has to be asked for a site, or a layer of units, to be projected."""
        session = self._context.workspace.session
        if session is None or not session.model.sees:
            return ProjectSite(site)
        images = self._panel.bar.images.currentText()
        return ProjectImages(site, images, self._context.settings.points)

    def _on_set(self, _row: int) -> None:
        name = self._panel.active.name
        if name is not None:
            self._context.ask(self.projecting(name))

    # the pointer

    def hover(self, pane: SpacePane, point: int) -> str:
        """Show the image of the point under the pointer, none beside the points; what it is."""
        drawing, session = pane.drawing, self._context.workspace.session
        found = projection_of(session, pane.name)
        shown = None
        if (
            drawing is not None and drawing.images and found is not None and session is not None
            and 0 <= point < len(drawing.points)
        ):  # fmt: skip
            shown = thumbnail(session, found, drawing, point)
        if shown is None:
            self.tip.hide()
            return ""
        across, down = pane.view.screen_places()[point]
        place = pane.view.surface().mapTo(self._panel, QPointF(float(across), float(down)))
        self.tip.tell(shown, place)
        return shown.text

    def offer(self, pane: SpacePane, point: int, at: QPoint) -> None:
        """A menu of what can be done with the image of a point."""
        self.tip.hide()
        menu = QMenu(self._panel)
        menu.setObjectName("space_image_menu")
        menu.setToolTipsVisible(True)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        entry = menu.addAction(ASK)
        reason = self._why_not(pane, point)
        entry.setEnabled(not reason)
        entry.setToolTip(reason or ASK)
        entry.triggered.connect(partial(self.ask, pane, point))
        menu.popup(at)

    def _why_not(self, pane: SpacePane, point: int) -> str:
        drawing = pane.drawing
        if drawing is None or int(drawing.prompts[point]) < 0:
            return "It is the image of this run."
        return "" if self._context.draft.text.sees else "Needs the model: attach it."

    def ask(self, pane: SpacePane, point: int, *_: object) -> None:
        """Put the image of a point into the prompt; its class is the answer."""
        drawing, session = pane.drawing, self._context.workspace.session
        found = projection_of(session, pane.name)
        if drawing is None or not drawing.images or found is None or self._why_not(pane, point):
            return
        facts = self._context.library.shelf.facts
        sets = () if facts.seen is None else facts.seen.sets
        taken = asked_again(found, int(drawing.prompts[point]), sets)
        if taken is None:
            pane.caption.setText(_TOO_SMALL)
            return
        image, label = taken
        answer = {"answer": label} if label in facts.words else {}
        self._context.draft.update(image=image, **answer)
