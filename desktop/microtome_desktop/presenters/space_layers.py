"""Which drawings of projections there are: of one, and of the layers of a site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from microtome.records.analysis import Analysis
from microtome.records.seen import LayerOutline
from microtome.records.session import Session
from microtome_desktop.presenters.space import (
    Space,
    at_once,
    projection_of,
    projections,
    space,
)
from microtome_desktop.presenters.space_colours import ColourBy
from microtome_desktop.presenters.space_film import Alignments, family
from microtome_desktop.presenters.space_images import offered_layers
from microtome_desktop.state.prepared import Prepared

SITES = ("resid_post", "resid_mid", "attn_out", "mlp_out")
_POINTS = 2500  # of a layer, where nothing says how many the others have


@dataclass(slots=True)
class Drawings:
    """Gives drawings at once where they are few points in memory, and later where they are not.

    ``ask`` gets a key and what makes its drawing, to be called by a worker.
    """

    prepared: Prepared
    ask: Callable[[Any, Callable[[], Space]], None]
    alignments: Alignments = field(default_factory=Alignments)

    def of(self, analysis: Analysis, by: ColourBy | None) -> Space | None:
        """The drawing of a projection, None while a worker makes it."""
        key = (analysis, by)
        held: Space | None = self.prepared.get(key)
        if held is not None:
            return held
        if at_once(analysis):
            made = space(analysis, by)
            self.prepared.keep(key, made)
            return made
        if self.prepared.wants(key):
            self.ask(key, partial(space, analysis, by))
        return None

    def in_layers(self, session: Session, site: str, by: ColourBy | None) -> Space | None:
        """A layer's drawing turned onto the layers before it, None while one is being made."""
        found = family(site)
        if found is None:
            return None
        name, layer = found
        spaces: dict[int, Space] = {}
        for number in range(layer, -1, -1):
            analysis = projection_of(session, f"{name}.{number}")
            if analysis is None:
                break
            drawing = self.of(analysis, by)
            if drawing is None:
                return None
            spaces[number] = drawing
        return self.alignments.aligned(name, layer, spaces) if spaces else None


def offered_sites(
    session: Session | None, seen: Sequence[LayerOutline] = ()
) -> tuple[tuple[str, str], ...]:
    """The sites to choose from as (text, name): those projected, and those that could be.

    Of a model that sees these are its layers of units, by image and by place.
    """
    if session is not None and session.model.sees:
        return offered_layers(session, seen)
    held = {str(a.params.get("site", "")) for a in projections(session)}
    layers = range(session.model.n_layers) if session is not None else ()
    names = {f"{site}.{layer}" for site in SITES for layer in layers} | held
    ordered = sorted(names, key=_site_order)
    return tuple((n if n in held else f"{n}  (not computed)", n) for n in ordered)


def site_beside(session: Session | None, shown: Sequence[str | None]) -> str:
    """The site for a new view, one that is not shown: projected if there is one, else nearest.

    Nearest is another layer of the site that was added last; when all are shown, any other site.
    """
    held = [str(analysis.params.get("site")) for analysis in projections(session)]
    last = next((name for name in reversed(shown) if name), "")
    offered = sorted((name for _, name in offered_sites(session)), key=partial(_away, last))
    return next((name for name in (*held, *offered) if name not in shown), last)


def _away(site: str, name: str) -> tuple[bool, int, str]:
    """How far a site is from another: layers of the same first, the deeper of two alike."""
    (kind, layer), (other, there) = family(site) or ("", 0), family(name) or ("", 0)
    return kind != other, 2 * abs(there - layer) - (there > layer), name


def missing_layers(session: Session, site: str) -> tuple[str, ...]:
    """The layers of a site that were not projected yet, from below."""
    found = family(site)
    if found is None:
        return ()
    names = (f"{found[0]}.{layer}" for layer in range(session.model.n_layers))
    return tuple(name for name in names if projection_of(session, name) is None)


def points_of(session: Session, site: str) -> int:
    """How many points of the prompt sets a new layer should have, as the others of its site."""
    name = (family(site) or ("", 0))[0]
    held = [a for a in projections(session) if str(a.params.get("site", "")).startswith(f"{name}.")]
    for analysis in (*held, *projections(session)):
        count = analysis.arrays["points"].values.shape[0] - int(
            analysis.params.get("own_points", 0)
        )
        if count > 0:
            return count
    return _POINTS


def empty_text(site: str | None, *, waits: bool) -> str:
    """Why there is nothing to see of a site, and what to do."""
    if site is None:
        return "Run a prompt to see its feature space."
    return (
        f"{site} is being projected…" if waits else f"{site} was not projected yet: press Project."
    )


def _site_order(name: str) -> tuple[str, int]:
    site, _, layer = name.partition(".")
    return site, int(layer) if layer.isdigit() else 0
