"""Labels in the Features panel: typed, accepted, rejected; none of the user's is lost unasked."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMessageBox, QWidget

from microtome.records.session import Session
from microtome_desktop.presenters.feature_labels import named_table, proposal_of
from microtome_desktop.presenters.feature_table import FeatureTable
from microtome_desktop.state.features import labels_in
from microtome_desktop.state.proposals import Proposals, label, proposals_in, reject, typed
from microtome_desktop.views.feature_card import FeatureCardView
from microtome_desktop.views.panel import PanelContext


class FeatureNaming(QObject):
    """Labels and proposals of one dictionary at a time."""

    def __init__(self, panel: QWidget, context: PanelContext, view: FeatureCardView) -> None:
        super().__init__(panel)
        self._panel, self._context, self._view = panel, context, view
        self.fingerprint, self.feature = "", -1
        view.labelled.connect(self._on_labelled)
        view.accepted.connect(self._on_accepted)
        view.rejected.connect(self._on_rejected)

    @property
    def _session(self) -> Session | None:
        return self._context.workspace.session

    @property
    def proposals(self) -> Proposals:
        """What is proposed for the dictionary."""
        return proposals_in(self._session, self.fingerprint)

    def table(self, table: FeatureTable) -> FeatureTable:
        """The table with what is proposed and scored now."""
        return named_table(table, labels_in(self._session, self.fingerprint), self.proposals)

    def show(self, table: FeatureTable, feature: int) -> None:
        """The label of a feature on its card."""
        self.feature = feature
        named = labels_in(self._session, self.fingerprint).get(feature, "")
        proposals = self.proposals
        proposed = proposal_of(table, proposals, feature)
        self._view.show_label(named, proposed, proposals.known(feature, named))

    def _on_labelled(self, text: str) -> None:
        if self.feature >= 0 and text != labels_in(self._session, self.fingerprint).get(
            self.feature, ""
        ):
            label(self._context.book, self.fingerprint, self.feature, text)

    def _on_accepted(self, text: str) -> None:
        book, feature = self._context.book, self.feature
        own = typed(book.marks.labels, self.fingerprint, feature)
        if own and not self._may_replace(own, text):
            return
        label(book, self.fingerprint, feature, text)

    def _may_replace(self, own: str, text: str) -> bool:
        box = QMessageBox(self._panel)
        box.setWindowTitle("Replace your label?")
        box.setIcon(QMessageBox.Icon.Question)
        box.setText(f"Feature {self.feature} has a label of your own.")
        box.setInformativeText(f"{own}\n\nReplace it by what is proposed?\n\n{text}")
        replace = box.addButton("Replace", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.exec()
        replaced = box.clickedButton() is replace
        box.deleteLater()
        return replaced

    def _on_rejected(self) -> None:
        if self._session is not None:
            reject(self._context.book, self._session, self.fingerprint, self.feature)
