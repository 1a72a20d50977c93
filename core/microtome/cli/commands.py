"""The command line: the window's operations on the same engine and the same file.

Bad input gives one line on standard error and exit status 2; nothing is left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

from microtome.cli.attribute import add_attribute, attribute
from microtome.cli.desktop_entry import add_desktop_entry, desktop_entry
from microtome.cli.discover import add_discover, discover
from microtome.cli.features import add_features, features
from microtome.cli.generate import add_generate, generate_command
from microtome.cli.given import (
    add_model_options,
    examined,
    expect_writable,
    ids,
    load,
    token_id,
)
from microtome.cli.graphs import add_export, add_import, export_graph, import_graph
from microtome.cli.images import add_asked, asked_image, image_facts
from microtome.cli.lesion import add_lesion, lesion_command
from microtome.cli.patch import add_patch, patch
from microtome.cli.paths import add_path, patch_paths
from microtome.cli.probe import add_probe, probe_command
from microtome.cli.redundancy import add_redundancy, redundancy_command
from microtome.cli.suite import add_suite, suite_command
from microtome.cli.swaps import add_swaps, swaps_command
from microtome.cli.train import add_train, train_command
from microtome.cli.visualise import add_visualise, visualise_command
from microtome.errors import InputError, MicrotomeError

_BAD_INPUT, _CHECK_FAILED, _INTERRUPTED, _PIPE_CLOSED = 2, 1, 130, 141
_QUIT_AFTER, _DAY = "--quit-after", 86_400


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 for a failed check, 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not given or given[0] == _QUIT_AFTER or not _names_command(given[0]):
            return _open_window(given)
        options = _parser().parse_args(given)
        status = int(_COMMANDS[options.command](options))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read, as head does, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except MicrotomeError as error:
        print(f"microtome: {error}", file=sys.stderr)
        return _BAD_INPUT
    except KeyboardInterrupt:
        print("microtome: stopped", file=sys.stderr)
        return _INTERRUPTED
    return status


def _names_command(first: str) -> bool:
    return first in _COMMANDS or first.startswith("-")


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, as those of all other bad input."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError with what argparse found."""
        raise InputError(f"{message.capitalize()}.", f"See {self.prog} --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="microtome",
        description="Look into neural networks. Without a command: open the window, "
        "with the session file given, if any, and close it again --quit-after SECONDS.",
    )
    from microtome import __version__

    parser.add_argument("--version", action="version", version=f"microtome {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands.add_parser("run", help="run a prompt and save the session"))
    add_patch(commands.add_parser("patch", help="sweep over places of a model, one at a time"))
    add_discover(commands.add_parser("discover", help="score every edge of a model on a task"))
    add_features(commands.add_parser("features", help="say what features of a dictionary mean"))
    add_path(commands.add_parser("path", help="patch along paths from component to component"))
    add_attribute(commands.add_parser("attribute", help="make the graph of features of a prompt"))
    add_generate(commands)
    add_suite(commands)
    add_train(commands)
    add_lesion(commands.add_parser("lesion", help="say what a model still does without some units"))
    add_probe(commands.add_parser("probe", help="say at which layer a concept can be read off"))
    add_redundancy(commands.add_parser("redundancy", help="say which parts a model can do without"))
    add_swaps(commands.add_parser("swaps", help="search for swaps of tokens that flip an answer"))
    add_visualise(commands.add_parser("visualise", help="make pictures that a unit answers to"))
    add_import(commands.add_parser("import", help="save a graph file as a session"))
    add_export(commands.add_parser("export", help="write a session's circuit as a graph file"))
    models = commands.add_parser("models", help="list the embedded models")
    models.add_argument("--json", action="store_true", help="print JSON")
    check = commands.add_parser("check", help="run the self-checks on a model")
    check.add_argument("model", help="embedded name, folder or hub id")
    check.add_argument("--dictionary", help="a dictionary of the model to be checked with it")
    add_model_options(check)
    check.add_argument("--json", action="store_true", help="print JSON")
    info = commands.add_parser("info", help="say what a session file holds")
    info.add_argument("session", type=Path)
    info.add_argument(
        "--verify", action="store_true", help="compare every stored chunk with its checksum first"
    )
    info.add_argument("--json", action="store_true", help="print JSON")
    entry = commands.add_parser("desktop-entry", help="list the program among the applications")
    add_desktop_entry(entry)
    render = commands.add_parser("render", help="draw the window with a session into a picture")
    render.add_argument("session", type=Path)
    render.add_argument("--out", type=Path, required=True, help="the PNG file to write")
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--model", required=True, help="embedded name, folder or hub id")
    add_asked(run)
    run.add_argument("--answer", help="the word that should follow, or the class of an image")
    run.add_argument("--wrong", help="the word to compare it with")
    run.add_argument("--ids", action="store_true", help="prompts and answers are token ids")
    run.add_argument("--values-only", action="store_true", help="leave out key and query edges")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--out", type=Path, required=True, help="the session file to write")
    run.add_argument("--json", action="store_true", help="print a summary as JSON")
    add_model_options(run)


def _run(options: argparse.Namespace) -> int:
    question = _question(options)
    expect_writable(options.out)
    from microtome.session.writer import save_session

    session = examined(load(options), question)
    save_session(options.out, session)
    summary = _summary(session) | {"file": str(options.out)}
    print(json.dumps(summary, indent=2) if options.json else _as_text(summary))
    return 0


def _question(options: argparse.Namespace) -> Any:
    from microtome.prompts import Question

    read: Callable[[str], Any] = ids if options.ids else str
    asked = options.prompt
    if asked is None:
        asked, read = options.image or options.image_set, partial(asked_image, options)
    words: Callable[[str], Any] = token_id if options.ids else str
    given = {"corrupt": options.corrupt and read(options.corrupt)}
    given |= {
        name: getattr(options, name) and words(getattr(options, name))
        for name in ("answer", "wrong")
    }
    return Question(read(asked), **given, values_only=options.values_only, seed=options.seed)


def _summary(session: Any) -> dict[str, Any]:
    trace, circuit, at = session.clean, session.circuit, session.metric["position"]
    rows = zip(trace.top_tokens[at], trace.top_probabilities[at], strict=True)
    predictions = [{"token": token, "probability": float(p)} for token, p in list(rows)[:5]]
    return {
        "model": session.model.name,
        **({} if trace.source is None else {"source": list(trace.source.tokens)}),
        **image_facts(trace.image),
        "tokens": list(trace.tokens),
        "unknown": [trace.tokens[at] for at in trace.unknown],
        "predictions": predictions,
        "metric": dict(session.metric),
        "checks_failed": [check.title for check in session.checks.failures],
        **(_no_circuit(session) if circuit is None else _circuit_facts(circuit)),
    }


def _circuit_facts(circuit: Any) -> dict[str, Any]:
    return {
        "nodes": circuit.n_nodes,
        "edges": circuit.n_edges,
        "unexplored": circuit.metadata.get("unexplored"),
        "cancellation": circuit.metadata.get("cancellation"),
    }


def _no_circuit(session: Any) -> dict[str, Any]:
    """Why there is none: the record of what the model lacks says it."""
    held = session.analyses.get("coverage")
    lacks = {} if held is None else held.params["lacks"]
    return {"nodes": 0, "edges": 0, "why_no_circuit": lacks.get("circuit", "none was computed")}


def _as_text(summary: dict[str, Any]) -> str:
    best, unknown = summary["predictions"][0], summary["unknown"]
    warning = f"unknown to the model ({len(unknown)}): {', '.join(unknown)}\n" if unknown else ""
    if failed := summary["checks_failed"]:
        warning += f"self-checks failed, do not trust these numbers: {', '.join(failed)}\n"
    if note := summary.get("image", {}).get("note"):
        warning += f"{summary['image']['name']}: {note}\n"
    return (
        f"{warning}"
        f"{summary['model']}: {best['token'].strip()} with probability {best['probability']:.3f}\n"
        f"{summary['metric']['name']} = {summary['metric']['value']:.4g}\n"
        f"circuit: {_circuit_text(summary)}\n"
        f"saved to {summary['file']}"
    )


def _circuit_text(summary: dict[str, Any]) -> str:
    if "why_no_circuit" in summary:
        return f"none, {summary['why_no_circuit']}"
    if summary["unexplored"] is not None:
        return f"{summary['nodes']} nodes, {summary['edges']} edges"
    pair = "value_corrupt" in summary["metric"]
    why = "both prompts give the metric the same value" if pair else "nothing flows to the metric"
    return f"nothing to explain, {why}"


def _models(options: argparse.Namespace) -> int:
    import microtome_resources as resources

    rows = [
        {"name": name, "checkpoints": list(resources.checkpoints(name))}
        for name in resources.model_names()
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        steps = ", ".join(f"@{step}" for step in row["checkpoints"])
        print(f"{row['name']}  checkpoints {steps}" if steps else row["name"])
    return 0


def _check(options: argparse.Namespace) -> int:
    from microtome.models.coverage import coverage
    from microtome.selfcheck.suite import check_dictionary, self_check

    model, rows = load(options), []
    if options.dictionary:
        from microtome.features.formats.files import load_dictionary

        own = load_dictionary(options.dictionary, allow_download=options.download)
        rows = [check_dictionary(model, own)]
    report, held = self_check(model).joined(rows), coverage(model)
    if options.json:
        found = asdict(report) | {"passed": report.passed, "coverage": asdict(held)}
        print(json.dumps(found, indent=2))
    else:
        print(held.summary)
        for result in report.results:
            print(_check_line(result))
    return 0 if report.passed else _CHECK_FAILED


def _check_line(result: Any) -> str:
    measured = "" if result.measured is None else f"  {result.measured:.2g}"
    allowed = "" if result.allowed is None else f" (allowed {result.allowed:.2g})"
    reason = f"  {result.reason}" if result.reason else ""
    return f"{result.number:>2}  {result.verdict:<14}  {result.title}{measured}{allowed}{reason}"


def _info(options: argparse.Namespace) -> int:
    from microtome.session.reader import info

    checked = _verified(options.session) if options.verify else None
    found = info(options.session) | ({"verified": checked} if checked else {})
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    for key, value in found.items():
        print(f"{key}: {json.dumps(value) if isinstance(value, dict | list) else value}")
    return 0


def _verified(path: Path) -> dict[str, int]:
    """How many chunks and bytes are as they were written.

    Raises SessionDamaged that names the datasets that are not.
    """
    from microtome.session.verify import verify_session

    found = verify_session(path)
    found.require_good(path.name)
    return {"chunks": found.chunks, "bytes": found.nbytes}


def _render(options: argparse.Namespace) -> int:
    expect_writable(options.out)
    _window("render")(options.session, options.out)
    return 0


def _open_window(arguments: Sequence[str]) -> int:
    parser = _Parser(prog="microtome", add_help=False, allow_abbrev=False)
    parser.add_argument("sessions", nargs="*", type=Path)
    parser.add_argument(_QUIT_AFTER, type=_seconds, metavar="SECONDS")
    options = parser.parse_args(arguments)
    if len(options.sessions) > 1:
        raise InputError(
            f"One session file can be opened, not {len(options.sessions)}.", "See microtome --help."
        )
    path = options.sessions[0] if options.sessions else None
    if path is not None and not path.exists():
        known = ", ".join(_COMMANDS)
        raise InputError(f"There is no file or command {path}.", f"Commands: {known}.")
    return int(_window("open")(path, options.quit_after) or 0)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < _DAY:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds below {_DAY:,}")
    return value


def _window(name: str) -> Callable[..., Any]:
    """The window's function of this name, found without naming a desktop module.

    Raises InputError that says what to install when there is no window.
    """
    for entry in entry_points(group="microtome.window", name=name):
        try:
            return entry.load()  # type: ignore[no-any-return]
        except ModuleNotFoundError as missing:
            raise InputError(
                f"The window needs {missing.name}, which is not installed.",
                "Install it with: pip install 'microtome[desktop]'.",
            ) from missing
    raise InputError(
        "The window is not installed.", "Install it with: pip install 'microtome[desktop]'."
    )


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "patch": patch,
    "discover": discover,
    "features": features,
    "path": patch_paths,
    "attribute": attribute,
    "generate": generate_command,
    "suite": suite_command,
    "lesion": lesion_command,
    "probe": probe_command,
    "redundancy": redundancy_command,
    "swaps": swaps_command,
    "train": train_command,
    "visualise": visualise_command,
    "import": import_graph,
    "export": export_graph,
    "models": _models,
    "check": _check,
    "info": _info,
    "render": _render,
    "desktop-entry": desktop_entry,
}
