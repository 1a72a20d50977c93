"""Make every embedded model, prompt set, text, dictionary and image set again, from seeds.

`python resources/training/make_models.py` writes into the package beside it and
takes about twenty minutes on one core, most of it for words-4l. The shapes need scikit-learn.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

if __package__ in (None, ""):
    # Run as a script, Python looks beside this file and not for the package it is in.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from training import compile_induction, make_dictionaries, make_words, prompt_sets, texts
from training.shapes import make_shapes

_DATA: Final = Path(__file__).resolve().parents[1] / "microtome_resources"


def _exact(out: Path) -> None:
    for size in (compile_induction.FULL, compile_induction.TINY):
        compile_induction.write(size, out / "models")


def _words(out: Path) -> None:
    make_words.write(out / "models")


def _prompts(out: Path) -> None:
    prompt_sets.write_all(out / "prompts")


def _texts(out: Path) -> None:
    texts.write(out / "texts")


def _dictionaries(out: Path) -> None:
    make_dictionaries.write(out)


def _shapes(out: Path) -> None:
    make_shapes.write(out)


PARTS: Final[dict[str, Callable[[Path], None]]] = {
    "exact": _exact,
    "prompts": _prompts,
    "words": _words,
    "texts": _texts,
    "dictionaries": _dictionaries,
    "shapes": _shapes,
}


def main() -> None:
    """Make the parts that were asked for, all of them by default."""
    parser = argparse.ArgumentParser(
        description="Make the embedded models, prompt sets, texts, dictionaries and image sets."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=_DATA, help="folder to write into")
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(
            f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for name, make in PARTS.items():
        if name in (asked.parts or PARTS):
            make(asked.out)


if __name__ == "__main__":
    main()
