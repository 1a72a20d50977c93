"""``microtome visualise``: pictures that a class, a unit, a direction or a feature answers to."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.given import add_model_options, expect_writable, load, progress_job
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.records.visualisation import Visualisation

_EDGE = 256  # pixels that a small picture is enlarged to, about


def add_visualise(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("model", help="embedded name, folder or hub id of a model that sees")
    add("target", help="a class (stripes), a unit (pool/12), one in one place "
        "(stage1.block0/3@centre); with --towards, --feature or --dictionary a layer")  # fmt: skip
    add("--negative", action="store_true", help="make the least of it")
    add("--towards", metavar="CLASS[,CLASS]", help="the direction from the mean of a second class "
        "(or of all others) to that of a first, in the layer")  # fmt: skip
    add("--dictionary", help="a sparse dictionary on the layer (embedded name or folder)")
    add("--feature", type=int, help="the feature of the dictionary")
    add("--results", type=int, default=4)
    add("--seed", type=int, default=0)
    add("--steps", type=int, default=160)
    add("--robustness", type=float, default=1.0, help="how strongly pictures are moved, 0 to 2")
    add("--diversity", type=float, default=0.0, help="how strongly results are pushed apart")
    add("--set", dest="image_set", help="tell each value's percentile among the images of a set")
    add("--second", help="another model that says what it sees in the pictures")
    add("--out", type=Path, help="the PNG file to write, results side by side")
    add("--session", type=Path, help="the session file to write")
    add("--json", action="store_true", help="print the whole result as JSON")
    add_model_options(parser)


def visualise_command(options: argparse.Namespace) -> int:
    """Make the pictures, write what was asked for, print a line a result."""
    from microtome.images.sets import load_image_set
    from microtome.records.visualisation import VisualSettings, visualisation_of
    from microtome.vision.visualise import visualise

    if options.out is not None and options.out.suffix.lower() != ".png":
        raise InputError(
            f"--out is {options.out.name}, but pictures are written as PNG.",
            "Give it a name that ends in .png.",
        )
    for path in (options.out, options.session):
        if path is not None:
            expect_writable(path)
    model = load(options)
    images = None if options.image_set is None else load_image_set(options.image_set)
    settings = VisualSettings(
        steps=options.steps, robustness=options.robustness, diversity=options.diversity
    )
    second = None if options.second is None else _second(options)
    analysis = visualise(
        model, _target(options, model), results=options.results, seed=options.seed,
        settings=settings, references=images, second=second, job=progress_job(),
    )  # fmt: skip
    made = visualisation_of(analysis)
    if options.out is not None:
        _write_picture(options.out, made)
    if options.session is not None:
        from microtome.records.session import Session
        from microtome.session.writer import save_session

        save_session(options.session, Session(model.identity, analyses={analysis.id: analysis}))
    print(json.dumps(_rows(made), indent=2) if options.json else _text(made))
    return 0


def _target(options: argparse.Namespace, model: Any) -> Any:
    from dataclasses import replace

    from microtome.vision.targets import parse_target

    if model.sight is None:
        raise InputError(f"{options.model} reads text.", "Give a model that sees: shapes-resnet.")
    if (options.dictionary is None) != (options.feature is None):
        raise InputError("--dictionary and --feature belong together.", "Give both.")
    if options.towards is not None:
        from microtome.images.sets import load_image_set
        from microtome.vision.towards import class_direction

        images = load_image_set(options.image_set or "shapes")
        of, _, over = options.towards.partition(",")
        found = class_direction(model, options.target, images, of.strip(), over.strip())
    elif options.dictionary is not None:
        from microtome.features.formats.files import load_dictionary
        from microtome.vision.targets import Target

        held = load_dictionary(options.dictionary)
        found = Target.feature(held, options.feature, options.target)
    else:
        found = parse_target(options.target, model.sight)
    return replace(found, negative=found.negative or options.negative)


def _second(options: argparse.Namespace) -> Any:
    from microtome.models.loading import load_model

    return load_model(options.second, device=options.device, dtype=options.dtype)


def _write_picture(path: Path, made: Visualisation) -> None:
    from microtome.images.writing import side_by_side, write_png

    write_png(path, side_by_side(made.pictures, _EDGE))


def _rows(made: Visualisation) -> list[dict[str, Any]]:
    found = []
    for at, value in enumerate(made.final.tolist()):
        seen, probability = made.says(at)
        row = {"target": made.text, "result": at, "value": value, "sees": seen,
               "probability": probability}  # fmt: skip
        if made.percentile is not None:
            row["percentile"] = float(made.percentile[at])
        if (told := made.second_says(at)) is not None:
            row |= {"second_sees": told[0], "second_probability": told[1]}
        found.append(row)
    return found


def _text(made: Visualisation) -> str:
    lines = [f"{made.text}, seed {made.seed}, {made.done} steps, {made.seconds:.1f} s"]
    for row in _rows(made):
        told = (
            f"{row['result']}: {row['value']:.4g}, seen as {row['sees']} {row['probability']:.1%}"
        )
        if "percentile" in row:
            told += f", above {row['percentile']:.1f} % of {made.of_set}"
        if "second_sees" in row:
            told += f", {made.second_model}: {row['second_sees']} {row['second_probability']:.1%}"
        lines.append(told)
    return "\n".join([*lines, *made.notes])
