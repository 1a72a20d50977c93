"""The page that shows the pictures."""

from __future__ import annotations

from microtome_desktop.picturing.scenes import SCENES

DARK, LIGHT = "dark", "light"
_HEAD = """# Pictures

Every panel and the most important windows, in both themes, drawn by the real
program on the embedded model `words-4l`. `make pictures` makes them and this page again.
"""


def page() -> str:
    """The page in Markdown, one section a scene."""
    return "\n".join([_HEAD, *(_section(scene.name, scene.said) for scene in SCENES)])


def _section(name: str, said: str) -> str:
    places = (f"![{name}, {theme}](pictures/{theme}/{name}.png)" for theme in (DARK, LIGHT))
    return "\n".join([f"## {name.replace('_', ' ').capitalize()}", "", said, "", *places, ""])
