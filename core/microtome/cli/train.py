"""``microtome train``: a sparse dictionary, or transcoders, of a model from a text."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.given import add_model_options, load, written
from microtome.errors import InputError
from microtome.features.training.offers import ONE, RULES, TRANSCODER, expect_offered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from microtome.jobs import Job
    from microtome.records.training import TrainingCurve

_PLAN = ("rule", "width", "steps", "batch", "rate", "pressure", "seed", "limit")
_MEASURED = 4_096  # tokens that figures are taken on


def add_train(commands: Any) -> None:
    """The command ``train`` and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a sparse dictionary, or transcoders, on a text",
        description="Train a sparse autoencoder at a site, a transcoder from one site to another, "
        "or transcoders of all MLPs. Settings that are left out are right for the model's size.",
    )
    add = parser.add_argument
    add("--model", required=True, help="embedded name, folder or hub id")
    add("--text", required=True, help="a file, a folder, or an embedded text by name: words-4l")
    add("--field", default="text", help="of JSON lines and Parquet, the one that holds the text")
    add("--site", help="where it reads: resid_post.2")
    add("--writes", help="where it writes, for a transcoder: mlp_out.2")
    add(
        "--transcoders", choices=("per-layer", "cross-layer"), help="of all MLPs, in a site's place"
    )
    add("--rule", choices=RULES, help="of sparsity; topk without it, batchtopk for transcoders")
    add("--width", type=int, help="number of features")
    add("--k", help="how many are on: a number, or with --transcoders one a layer, 32,16,16,16")
    add("--steps", type=int)
    add("--batch", type=int, help="rows of a step")
    add("--rate", type=float, help="learning rate")
    add("--pressure", type=float, help="weight of the L1 norm, or of the number of features on")
    add("--skip", action="store_true", help="a linear path beside the features of a transcoder")
    add("--seed", type=int)
    add("--limit", type=int, help="take the first so many tokens")
    add("--checkpoints", type=Path, metavar="FOLDER",
        help="keep activations and checkpoints there, and go on from them")  # fmt: skip
    add("--measure", metavar="TEXT", help="another text to measure on; the same without it")
    add("--out", type=Path, required=True, help="the folder to write, as SAELens or circuit-tracer")
    add("--json", action="store_true", help="print the figures as JSON")
    add_model_options(parser)


def train_command(options: argparse.Namespace) -> int:
    """Train, measure, write the folder, and print what was measured."""
    _expect_asked(options)
    settings = _settings(options)
    from microtome.features.training.saving import save_trained

    expect_offered(_form(options), settings["rule"], skip=options.skip)
    model = load(options)
    with _stopped_between_steps(settings["job"]):
        made, curves = _trained(options, model, settings)
    save_trained(made, options.out)
    told = {
        "folder": str(options.out),
        "curves": [curve.points()[-1] for curve in curves],
        "scores": _scores(options, model, made).told(),
    }
    text = json.dumps(_plain([curve.points() for curve in curves]))
    with written(options.out.with_name(f"{options.out.name}.json")) as file:
        file.write(text + "\n")
    print(json.dumps(_plain(told), indent=2) if options.json else _as_text(told))
    return 0


def _form(options: argparse.Namespace) -> str:
    if options.transcoders is not None:
        return str(options.transcoders)
    return ONE if options.writes is None else TRANSCODER


def _plain(told: Any) -> Any:
    """The same as strict JSON has it: a number that is none is null."""
    if isinstance(told, dict):
        return {name: _plain(value) for name, value in told.items()}
    if isinstance(told, list | tuple):
        return [_plain(value) for value in told]
    return None if isinstance(told, float) and not math.isfinite(told) else told


def _expect_asked(options: argparse.Namespace) -> None:
    """Raise InputError unless one thing is asked for, and its folder can be made."""
    if (options.site is None) == (options.transcoders is None):
        raise InputError(
            "Give either a site or transcoders.",
            "Write --site resid_post.2, or --transcoders per-layer.",
        )
    if options.writes is not None and options.site is None:
        raise InputError("--writes belongs to --site.", "Write --site mlp_in.2 --writes mlp_out.2.")
    if not options.out.parent.is_dir():
        raise InputError(
            f"There is no folder {options.out.parent}.", "Create it, or choose another place."
        )
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise InputError(f"{options.out} is not an empty folder.", "Choose another name.")


@contextmanager
def _stopped_between_steps(job: Job) -> Iterator[None]:
    """Let Ctrl-C end the training where a checkpoint can be written, not in the middle of a step.

    Raises KeyboardInterrupt then, as Ctrl-C does elsewhere.
    """
    from microtome.errors import Cancelled

    before = signal.signal(signal.SIGINT, lambda *_: job.cancel())
    try:
        yield
    except Cancelled:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(options, name) for name in _PLAN if getattr(options, name) is not None}
    transcodes = options.transcoders or options.writes
    given.setdefault("rule", "batchtopk" if transcodes else "topk")
    if options.skip:
        given["skip"] = True
    if options.checkpoints is not None:
        given["folder"] = options.checkpoints
    if options.k is not None:
        given["k"] = _numbers(options.k, several=options.transcoders is not None)
    return {**given, "job": _job(options.json), "name": options.out.name}


def _numbers(text: str, *, several: bool) -> int | list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or (len(found) > 1 and not several):
        raise InputError(f"--k is {text!r}.", "Give a whole number, for example 32.")
    return found if len(found) > 1 else found[0]


def _trained(
    options: argparse.Namespace, model: Any, settings: dict[str, Any]
) -> tuple[Any, Sequence[TrainingCurve]]:
    text = _corpus(options.text, options.field)
    if options.transcoders is not None:
        from microtome.features.training.layers import train_transcoders

        many = train_transcoders(model, text, options.transcoders, **settings)
        return many.transcoders, many.curves
    from microtome.features.training.single import train_dictionary

    one = train_dictionary(model, text, options.site, options.writes, **settings)
    return one.dictionary, (one.curve,)


def _corpus(text: str, field: str) -> Any:
    from microtome.corpora.reading import read_corpus
    from microtome.features.training.asking import text_file

    return read_corpus(text_file(text), field=field)


def _scores(options: argparse.Namespace, model: Any, made: Any) -> Any:
    from microtome.features.dictionary import Dictionary
    from microtome.features.evaluation import (
        evaluate_dictionary,
        evaluate_transcoders,
        token_rows,
    )

    corpus = _corpus(options.measure or options.text, options.field)
    rows = token_rows(model, corpus, limit=_MEASURED)
    if isinstance(made, Dictionary):
        return evaluate_dictionary(model, made, rows)
    return evaluate_transcoders(model, made, rows)


def _job(quiet: bool) -> Job:
    """A job that tells on a terminal's standard error how far the training is."""
    from microtome.jobs import Job, Progress
    from microtome.records.training import TRAINING

    def on_partial(name: str, value: Any) -> None:
        if name == TRAINING and value.last:
            last = value.last
            line = (
                f"step {last['step']}  loss {last['loss']:.4g}  L0 {last['l0']:.1f}  "
                f"explained {last['explained_variance']:.1%}  dead {last['dead']:.1%}"
            )
            print(f"\r{line}\033[K", end="", file=sys.stderr)

    def on_progress(progress: Progress) -> None:
        if progress.total and progress.done >= progress.total:
            print(f"\r{progress.title}: done\033[K", file=sys.stderr)

    told = sys.stderr.isatty() and not quiet
    return Job(on_progress if told else None, on_partial if told else None)


def _as_text(told: dict[str, Any]) -> str:
    scores = told["scores"]
    lines = [
        f"{name.replace('_', ' ')}: {_rounded(value)}"
        for name, value in scores.items()
        if value is not None
    ]
    return "\n".join([*lines, f"saved to {told['folder']}"])


def _rounded(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(_rounded(each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
