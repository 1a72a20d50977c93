"""``microtome lesion``: what a model still does without some units, beside random lesions."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.given import (
    add_model_options,
    expect_writable,
    load,
    progress_job,
    write_rows,
)
from microtome.errors import InputError
from microtome.records.lesion import HOWS, Treatment

if TYPE_CHECKING:
    from microtome.records.analysis import Analysis
    from microtome.records.lesion import Chosen, Lesion

_BY = ("selectivity", "need")


def add_lesion(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("model", help="embedded name, folder or hub id")
    add("--units", help="units by hand: pool/12,pool/3 or z.3/3,mlp_post.2/40")
    add("--localizer", action="append", metavar="SET",
        help="what units are chosen on: an image set, or prompt sets (repeated)")  # fmt: skip
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--domain", help="choose units for this domain or class of images")
    target.add_argument("--task", help="choose units for this prompt set of a language model")
    add("--by", choices=_BY, help="selectivity (of images), or need: whose loss costs most (tasks)")
    add("--layer", action="append", metavar="LAYER",
        help="where units are chosen: pool, z.3 …, or z for all layers; repeated")  # fmt: skip
    add("--count", type=int, default=1, help="how many units, the strongest first (1)")
    add("--how", choices=[*HOWS], default="zero", help="what is done to them (zero)")
    add("--amount", type=float, default=0.0, help="standard deviations to add, or the percentile")
    add("--set", action="append", dest="sets", metavar="SET",
        help="what the lesion is tried on: an image set, or prompt sets (repeated)")  # fmt: skip
    add("--over", action="append", metavar="SET", help="what means and others' values come from")
    add("--controls", type=int, default=20, help="random lesions beside it (20)")
    add("--seed", type=int, default=0, help="of the random lesions (0)")
    add("--session", "--out", dest="session", type=Path, help="the session file to write")
    add(
        "--csv", nargs="?", const="-", metavar="FILE", help="the table as CSV, printed or to a file"
    )
    add("--json", action="store_true", help="print the whole result as JSON")
    add_model_options(parser)


def lesion_command(options: argparse.Namespace) -> int:
    """Try the lesion, write what was asked for, print the table."""
    from microtome.records.lesion import lesion_of
    from microtome.vision.lesion import lesion

    target = options.domain or options.task
    if (options.units is None) == (target is None):
        said = "not" if target is None else "twice"
        raise InputError(
            f"It is {said} said which units are changed.",
            "Name them by --units, or have them chosen by --domain or --task.",
        )
    table = None if options.csv in {None, "-"} else Path(options.csv)
    for path in (options.session, table):
        if path is not None:
            expect_writable(path)
    treatment = Treatment(options.how, options.amount)
    model = load(options)
    units = _chosen(options, model, target)
    analysis = lesion(
        model, units, _sets(model, options.sets), how=treatment,
        over=_sets(model, options.over), controls=options.controls, seed=options.seed,
        job=progress_job(),
    )  # fmt: skip
    found = lesion_of(analysis)
    if options.session is not None:
        _save(options.session, model, analysis)
    if table is not None:
        write_rows(table, found.rows())
    _print(options, found)
    return 0


def _chosen(options: argparse.Namespace, model: Any, target: str | None) -> Chosen | list[str]:
    from microtome.vision.lesion import choose_units

    if target is None:
        return [one for one in options.units.replace(",", " ").split() if one]
    if not options.layer:
        raise InputError("No layer is named.", "Add for example --layer pool, or --layer z.")
    by = options.by or ("need" if model.sight is None else "selectivity")
    return choose_units(
        model, target, _layers(model, options.layer), options.count,
        localizer=_sets(model, options.localizer), by=by,
    )  # fmt: skip


def _layers(model: Any, given: list[str]) -> list[str]:
    """Layers as typed; ``z`` and ``mlp_post`` are those of all layers."""
    if model.sight is not None:
        return given
    count = model.identity.n_layers
    return [
        name for one in given
        for name in ([one] if "." in one else [f"{one}.{layer}" for layer in range(count)])
    ]  # fmt: skip


def _sets(model: Any, given: list[str] | None) -> Any:
    """One image set, or prompt sets; None for the model's own."""
    if not given or model.sight is None:
        return given
    if len(given) > 1:
        raise InputError(f"{len(given)} image sets were given.", "Give one.")
    return given[0]


def _save(path: Path, model: Any, analysis: Analysis) -> None:
    """A session of the first case, with the lesion in it."""
    from dataclasses import replace

    from microtome.examining import examine
    from microtome.session.writer import save_session

    session = examine(model, _question(model, analysis))
    save_session(path, replace(session, analyses={**session.analyses, analysis.id: analysis}))


def _question(model: Any, analysis: Analysis) -> Any:
    from microtome.prompts import Question
    from microtome.vision.trials import image_set, tasks

    if model.sight is not None:
        return Question(image_set(model, str(analysis.params["set"])).image(0))
    first = tasks(model, analysis.params["tasks"])[0].pairs[0]
    return Question(first.clean, None, first.answer, first.wrong)


def _print(options: argparse.Namespace, found: Lesion) -> None:
    if options.json:
        print(json.dumps(_as_json(found), indent=2))
    elif options.csv == "-":
        import csv
        import sys

        rows = found.rows()
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print(_as_text(found))


def _as_json(found: Lesion) -> dict[str, Any]:
    return {
        **found.params,
        "chosen": found.chosen.source,
        "index": [_number(value) for value in found.chosen.index],
        "doses": found.doses.tolist(),
        "measures": {
            name: [{key: _number(value) for key, value in row.items()} for row in found.rows(at)]
            for at, name in enumerate(found.measures)
        },
        "curve": dict(zip(found.groups, found.curve[0].T.tolist(), strict=True)),
        "confusion": {
            side: found.confusion[at].tolist() for at, side in enumerate(("before", "after"))
        },
        "classes": list(found.classes),
        "said": list(found.said),
    }


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _as_text(found: Lesion) -> str:
    params, count = found.params, len(found.units)
    changed = f"{count} unit{'s' * (count != 1)} {found.chosen.source}, {found.treatment.text}"
    lines = [
        f"{params['model']} on {params['title']}: {changed}",
        f"units: {', '.join(map(str, found.units))}",
    ]
    width = max(len(name) for name in found.groups) + 2
    for at, measure in enumerate(found.measures):
        if len(found.measures) > 1:
            lines.append(f"answer {'on top' if measure == 'top' else 'above the wrong one'}:")
        heads = f"{'cases':>7}{'before':>9}{'after':>9}{'95 % band':>15}{'change':>9}"
        heads += f"{'random':>9}{'their range':>15}" if found.n_controls else ""
        lines.append(f"{'group':{width}}{heads}")
        lines += [_row(row, width, found.n_controls) for row in found.rows(at)]
    if found.n_controls:
        lesions = f"{found.n_controls} lesion{'s' * (found.n_controls != 1)}"
        lines.append(f"random: mean and 95 % of {lesions}, seed {params['seed']}")
    return "\n".join(lines)


def _row(row: dict[str, Any], width: int, controls: int) -> str:
    band = f"{row['after_low']:.0%} to {row['after_high']:.0%}"
    told = (
        f"{row['group']:{width}}{row['cases']:>7}{row['before']:>9.1%}{row['after']:>9.1%}"
        f"{band:>15}{row['change']:>+9.1%}"
    )
    if not controls:
        return told
    return f"{told}{row['control']:>9.1%}{row['control_low']:>8.0%} to {row['control_high']:.0%}"
