"""The themes: Fusion with our own palette, fonts and a short style sheet."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from microtome_desktop import palette as colours

_CHEVRON = Path(__file__).with_name("chevron.svg")
SYSTEM = "system"  # the desktop's own choice

_ROLES = {  # a colour, or its name in the palette
    QPalette.ColorRole.Window: "WINDOW",
    QPalette.ColorRole.Base: "WINDOW",
    QPalette.ColorRole.AlternateBase: "RAISED",
    QPalette.ColorRole.Button: "RAISED",
    QPalette.ColorRole.ToolTipBase: "RAISED",
    QPalette.ColorRole.WindowText: "TEXT",
    QPalette.ColorRole.Text: "TEXT",
    QPalette.ColorRole.ButtonText: "TEXT",
    QPalette.ColorRole.ToolTipText: "TEXT",
    QPalette.ColorRole.BrightText: "#ffffff",
    QPalette.ColorRole.PlaceholderText: "TEXT_FAINT",
    QPalette.ColorRole.Highlight: "SELECTED",
    QPalette.ColorRole.HighlightedText: "TEXT",
    QPalette.ColorRole.Accent: "ACCENT",
    QPalette.ColorRole.Link: "ACCENT",
    QPalette.ColorRole.LinkVisited: "ACCENT",
    QPalette.ColorRole.Light: "LINE",
    QPalette.ColorRole.Midlight: "LINE",
    QPalette.ColorRole.Mid: "LINE",
    QPalette.ColorRole.Dark: "WINDOW",
    QPalette.ColorRole.Shadow: "#000000",
}
_OFF_WHEN_DISABLED = (
    QPalette.ColorRole.WindowText,
    QPalette.ColorRole.Text,
    QPalette.ColorRole.ButtonText,
)

# Names in capitals stand for colours; "RAISED_MORE" is a card under the pointer.
_SHEET = """
* { outline: none; }
QMainWindow { background: WINDOW; }
QMainWindow::separator { background: WINDOW; width: 6px; height: 6px; }
QMainWindow::separator:hover { background: LINE; }
QMenuBar { background: WINDOW; padding: 4px 6px; }
QMenuBar::item { padding: 4px 10px; border-radius: 5px; color: DIM; }
QMenuBar::item:selected { background: RAISED; color: TEXT; }
QMenu { background: RAISED; border: 1px solid LINE; border-radius: 6px; padding: 4px; }
QMenu::item { padding: 5px 22px 5px 10px; border-radius: 4px; }
QMenu::item:selected { background: SELECTED; }
QMenu::item:disabled { color: OFF; }
QMenu::separator { height: 1px; background: LINE; margin: 4px 8px; }
QMenu::icon { padding-left: 8px; }
QToolBar { background: WINDOW; border: none; spacing: 4px; padding: 2px 6px 6px 6px; }
QToolBar::separator { background: LINE; width: 1px; margin: 5px 6px; }
QToolButton { border: none; border-radius: 6px; padding: 5px 10px; color: TEXT; }
QToolButton:hover { background: RAISED; }
QToolButton:pressed, QToolButton:checked { background: SELECTED; }
QToolButton:disabled { color: OFF; }
QToolButton#tiny { padding: 3px; }
QToolButton#slot { padding: 3px 8px; }
QToolButton#empty_slot { border: 1px dashed LINE; color: DIM; }
QToolButton#empty_slot:hover { background: RAISED; }
QToolButton#tiny::menu-indicator, #centre_all::menu-indicator { image: none; }
#centre_all:hover { background: RAISED; }
#card, #card_title, #card_body { background: CARD; }
#card_title { border-top-left-radius: 8px; border-top-right-radius: 8px; }
#card_buttons { background: CARD; border-top-right-radius: 8px; }
#card_body { border-bottom-left-radius: 8px; border-bottom-right-radius: 8px; }
#strip_card { background: CARD; border-radius: 8px; }
#card_name { color: DIM; font-size: 11px; font-weight: 600; }
#section { color: DIM; font-weight: 600; font-size: 12px; }
QLabel#dim { color: DIM; } QLabel#bad { color: BAD; } QLabel#faint { color: FAINT; }
QStatusBar { background: WINDOW; color: DIM; padding: 0 8px; } QStatusBar::item { border: none; }
QStatusBar QLabel { color: DIM; }
QPlainTextEdit, QLineEdit, QTextEdit, QSpinBox, QAbstractSpinBox, QComboBox {
  background: FIELD; border: 1px solid LINE; border-radius: 6px; padding: 4px 7px;
  selection-background-color: SELECTED; }
QPlainTextEdit:focus, QLineEdit:focus, QTextEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {
  border-color: ACCENT; }
QLineEdit[wrong="true"], QPlainTextEdit[wrong="true"] { border-color: BAD; }
QAbstractSpinBox[plain="true"]::up-button, QAbstractSpinBox[plain="true"]::down-button {
  subcontrol-origin: margin; width: 0px; height: 0px; }
QComboBox::drop-down { border: none; width: 22px; }
QComboBox::down-arrow { image: url(CHEVRON); width: 12px; height: 12px; }
QComboBox QAbstractItemView { background: RAISED; border: 1px solid LINE; padding: 3px; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QPushButton { background: RAISED; border: 1px solid LINE; border-radius: 6px; padding: 5px 12px; }
QPushButton#low { padding: 1px 12px; }
QPushButton:hover { background: RAISED_MORE; }
QPushButton:focus { border-color: ACCENT; }
QPushButton:disabled { color: OFF; background: CARD; }
QPushButton#find_anything { color: DIM; background: WINDOW; font-size: 12px; }
QPushButton#find_anything:hover { background: CARD; border-color: FAINT; }
QFrame#palette { background: CARD; border: 1px solid FAINT; border-radius: 8px; }
#palette_words { padding: 7px 10px; font-size: 14px; }
QFrame#graph_search { background: RAISED; border: 1px solid FAINT; border-radius: 7px; }
#inline_field { background: RAISED; border: 1px solid ACCENT; padding: 4px 7px; }
QLabel#key_cap { background: RAISED; border: 1px solid LINE; border-bottom: 2px solid LINE;
  border-radius: 4px; padding: 1px 7px; color: TEXT; font-size: 12px; }
#edit_row { border: 1px solid transparent; border-radius: 6px; }
#edit_row:hover { background: RAISED; } #edit_row:focus { border-color: ACCENT; }
#settings_pages { background: CARD; border-radius: 8px; padding: 6px; }
#settings_pages::item { padding: 6px 8px; }
QPushButton#primary { background: ACCENT; border-color: ACCENT; color: ON_ACCENT;
  font-weight: 600; }
QPushButton#primary:hover { background: ACCENT_MORE; }
QPushButton#primary:disabled { background: RAISED; border-color: LINE; color: OFF; }
QTreeView, QTableView, QListView { background: transparent; border: none; }
QTreeView::item, QListView::item { padding: 3px 2px; border-radius: 4px; }
QTreeView::item:hover, QListView::item:hover { background: RAISED; }
QTreeView::item:selected, QListView::item:selected, QTableView::item:selected {
  background: SELECTED; color: TEXT; }
QTreeView { show-decoration-selected: 0; selection-background-color: transparent; }
QTreeView::branch, QTreeView::branch:selected { background: transparent; }
QHeaderView::section { background: transparent; border: none; color: DIM; padding: 3px 4px; }
QTableView { gridline-color: transparent; }
QScrollArea { background: transparent; border: none; }
#clear { background: transparent; }
QTabBar { background: CARD; }
QTabBar::tab { background: transparent; color: DIM; padding: 6px 12px; border: none;
  border-bottom: 2px solid transparent; }
QMainWindow > QTabBar::tab { padding: 6px; } #centre_tabs::tab { padding: 6px 7px; }
#centre_all { background: CARD; border: none; border-radius: 0; padding: 2px 8px; }
QTabBar::tab:selected { color: TEXT; border-bottom-color: ACCENT; }
QTabBar::tab:hover { color: TEXT; }
QTabWidget::pane { border: none; }
QProgressBar { background: RAISED; border: none; border-radius: 3px; max-height: 6px; }
QProgressBar::chunk { background: ACCENT; border-radius: 3px; }
QSlider::groove:horizontal { height: 4px; background: LINE; border-radius: 2px; }
QSlider::sub-page:horizontal { background: ACCENT; border-radius: 2px; }
QSlider::handle:horizontal { width: 14px; height: 14px; margin: -5px 0; border-radius: 7px;
  background: TEXT; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: LINE; border-radius: 4px; margin: 1px; }
QScrollBar::handle:vertical { min-height: 24px; } QScrollBar::handle:horizontal { min-width: 24px; }
QScrollBar::handle:hover { background: FAINT; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QCheckBox::indicator { width: 14px; height: 14px; border: 1px solid FAINT; border-radius: 4px; }
QTreeView::indicator { width: 12px; height: 12px; border: 1px solid FAINT; border-radius: 4px; }
QCheckBox::indicator:checked, QTreeView::indicator:checked { background: ACCENT;
  border-color: ACCENT; }
QToolTip { background: RAISED; color: TEXT; border: 1px solid LINE; padding: 4px; }
QLabel, QToolTip { qproperty-textFormat: PlainText; }
QLabel[markup="true"] { qproperty-textFormat: RichText; }
#toast { background: RAISED; border: 1px solid LINE; border-radius: 8px; }
#banner { background: BANNER; border: 1px solid BANNER_LINE; border-radius: 8px; }
#alarm { background: ALARM; border: 1px solid ALARM_LINE; border-radius: 8px; }
#dock_empty { color: FAINT; }
"""
_SHORT = {"DIM": "TEXT_DIM", "FAINT": "TEXT_FAINT"}  # what the sheet calls them
_DRESSED = "dressed"  # a property of the application
_NAMED = re.compile(r"\b[A-Z]+(?:_[A-Z]+)*\b")


def resolved(wanted: str) -> str:
    """The theme to draw in: the wanted one, or for ``system`` that of the desktop."""
    if wanted != SYSTEM:
        return wanted if wanted in colours.THEMES else colours.DARK
    light = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Light
    return colours.LIGHT if light else colours.DARK


def apply(application: QApplication, wanted: str = colours.DARK) -> None:
    """Dress every widget of the application in a theme."""
    colours.use(resolved(wanted))
    if application.property(_DRESSED) is None:
        # Once: what widgets draw with may still be the style that another one would replace.
        application.setStyle("Fusion")
        application.setProperty(_DRESSED, True)
    application.setPalette(palette())
    application.setStyleSheet(style_sheet())


def palette() -> QPalette:
    """The palette; disabled text is dimmed."""
    made = QPalette()
    for role, colour in _ROLES.items():
        made.setColor(role, QColor(getattr(colours, colour, colour)))
    for role in _OFF_WHEN_DISABLED:
        made.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.OFF))
    return made


def style_sheet() -> str:
    """The style sheet with colours in place of their names."""
    return _NAMED.sub(lambda found: _colour(found.group()), _SHEET)


def _colour(name: str) -> str:
    if name == "CHEVRON":
        return _CHEVRON.as_posix()
    return str(getattr(colours, _SHORT.get(name, name)))
