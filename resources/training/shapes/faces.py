"""Six people, each with a head, eyes, brows, nose, mouth and hair that stay the same."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.shapes.canvas import Canvas, Plane, Pose


@dataclass(frozen=True, slots=True)
class Person:
    """What makes a face this person's; lengths in half sides of the picture."""

    across: float
    eye_gap: float
    eye: float
    brow_tilt: float
    smile: float
    nose: float
    hair: str
    glasses: bool = False


PEOPLE: Final = {
    "Ada": Person(0.58, 0.27, 0.10, 0.00, 0.10, 0.22, "long"),
    "Ben": Person(0.70, 0.34, 0.08, 0.12, -0.08, 0.30, "short"),
    "Cleo": Person(0.64, 0.24, 0.13, -0.10, 0.14, 0.16, "fringe"),
    "Dan": Person(0.55, 0.25, 0.08, 0.06, 0.02, 0.34, "none"),
    "Eva": Person(0.66, 0.31, 0.10, -0.04, 0.08, 0.20, "curls", glasses=True),
    "Finn": Person(0.60, 0.27, 0.11, 0.10, -0.03, 0.26, "spikes"),
}
_HEAD: Final = 0.78
_EYES: Final = -0.12


def face(name: str, rng: np.random.Generator) -> Plane:
    """Return a picture [row, column] of the person in a new pose, light and mood."""
    person = PEOPLE[name]
    skin, dark = rng.uniform(0.6, 0.9), rng.uniform(0.05, 0.25)
    canvas = Canvas(rng.uniform(0.2, 0.5), Pose.drawn(rng, 0.2, (0.9, 1.08), 0.1))
    if person.hair in _BEHIND:
        _BEHIND[person.hair](canvas, person, dark)
    canvas.ellipse(0, 0.05, person.across, _HEAD, skin)
    if person.hair in _BEFORE:
        _BEFORE[person.hair](canvas, person, dark)
    _features(canvas, person, dark, rng)
    return canvas.grey


def _features(canvas: Canvas, person: Person, dark: float, rng: np.random.Generator) -> None:
    tilt = person.brow_tilt + rng.uniform(-0.03, 0.03)
    for side in (-1, 1):
        x = side * person.eye_gap
        canvas.ellipse(x, _EYES, person.eye, person.eye * rng.uniform(0.7, 1), dark)
        inner, outer = x - side * 0.12, x + side * 0.12
        canvas.line((inner, _EYES - 0.22 + tilt), (outer, _EYES - 0.22 - tilt), 0.07, dark)
        if person.glasses:
            rim = np.abs(canvas.from_ellipse(x, _EYES, 0.2, 0.2)) - 0.03
            canvas.paint(rim, dark)
    canvas.line((0, _EYES + 0.1), (0.03, _EYES + 0.1 + person.nose), 0.07, dark + 0.2)
    smile, width = person.smile + rng.uniform(-0.03, 0.03), rng.uniform(0.2, 0.26)
    low = 0.48 + smile
    canvas.curve(((-width, 0.48 - smile), (0, low), (width, 0.48 - smile)), 0.09, dark)


def _long(canvas: Canvas, person: Person, dark: float) -> None:
    canvas.box(0, 0.2, person.across + 0.14, 0.7, dark)
    canvas.ellipse(0, -0.3, person.across + 0.14, 0.6, dark)


def _curls(canvas: Canvas, person: Person, dark: float) -> None:
    for angle in np.linspace(np.pi * 0.95, np.pi * 2.05, 7):
        x, y = (person.across + 0.06) * np.cos(angle), 0.72 * np.sin(angle)
        canvas.ellipse(x, y, 0.2, 0.2, dark)


def _spikes(canvas: Canvas, person: Person, dark: float) -> None:
    for x in np.linspace(-0.75, 0.75, 4) * person.across:
        canvas.triangle(((x - 0.16, -0.4), (x, -1.0), (x + 0.16, -0.4)), dark)


def _short(canvas: Canvas, person: Person, dark: float) -> None:
    canvas.paint(np.maximum(_scalp(canvas, person), canvas.y + 0.48), dark)


def _fringe(canvas: Canvas, person: Person, dark: float) -> None:
    slanted = canvas.y + 0.45 + 0.35 * canvas.x
    canvas.paint(np.maximum(_scalp(canvas, person), slanted), dark)


def _scalp(canvas: Canvas, person: Person) -> Plane:
    return canvas.from_ellipse(0, 0.03, person.across + 0.04, _HEAD + 0.04)


_BEHIND: Final = {"long": _long, "curls": _curls, "spikes": _spikes}
_BEFORE: Final = {"short": _short, "fringe": _fringe}
