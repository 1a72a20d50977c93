"""``microtome generate``: how a model goes on from a prompt, without and with edits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from microtome.cli.edits import (
    EDITS_HELP,
    Reader,
    add_edits,
    check_edits,
    read_edit,
    read_prompt,
)
from microtome.cli.given import add_model_options, expect_writable, load
from microtome.records.edits import EditSpec


def add_generate(commands: Any) -> None:
    """The command ``generate`` and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "generate",
        help="let a model go on from a prompt, without and with edits",
        description="Let a model go on from a prompt, token by token; with edits, "
        "without them and with them.",
        epilog=EDITS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, help="embedded name, folder or hub id")
    parser.add_argument(
        "--prompt", required=True, help="the prompt, or comma-separated token ids with --ids"
    )
    parser.add_argument("--tokens", type=int, default=20, metavar="N", help="at most so many (20)")
    parser.add_argument("--ids", action="store_true", help="prompts are token ids")
    add_edits(parser)
    add_sampling(parser)
    parser.add_argument("--out", type=Path, help="the session file to write")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model_options(parser)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The options of how tokens are chosen."""
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="0, the default: the most probable token"
    )
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K most probable tokens")
    parser.add_argument(
        "--top-p", type=float, metavar="P", help="only the fewest tokens of probability P together"
    )
    parser.add_argument("--seed", type=int, default=0, help="of sampling and of resampling (0)")


def generate_command(options: argparse.Namespace) -> int:
    """Print how a model goes on, and with edits how it does then."""
    from microtome.interventions.generation import generate
    from microtome.interventions.sampling import Sampling
    from microtome.interventions.specs import edits_of

    if options.out is not None:
        expect_writable(options.out)
    prompt = read_prompt(options.prompt, ids=options.ids)
    settings = {name: getattr(options, name) for name in ("temperature", "top_k", "top_p", "seed")}
    Sampling(**settings)  # refuses before a model is loaded
    check_edits(options.edits)
    model = load(options)
    reader = Reader(options.ids, options.seed, options.unit, model.answer_token)
    specs = [read_edit(kind, text, reader) for kind, text in options.edits]
    before = generate(model, prompt, options.tokens, **settings)
    after = None
    if specs:
        edits = edits_of(model, specs)
        after = generate(model, prompt, options.tokens, edits=edits, **settings)
    if options.out is not None:
        _save(options.out, model, prompt, before, after, specs)
    print(json.dumps(_as_json(before, after, specs), indent=2) if options.json
          else _as_text(before, after))  # fmt: skip
    return 0


def _save(
    path: Path, model: Any, prompt: Any, before: Any, after: Any, specs: Sequence[EditSpec]
) -> None:
    """A session with the prompt's run, the edits and both texts."""
    from microtome.activations.capture import trace
    from microtome.interventions.specs import edits_of
    from microtome.prompts import Question
    from microtome.records.generation import generation_analysis
    from microtome.records.marks import Marks
    from microtome.records.session import Session
    from microtome.session.writer import save_session

    sites = [name for name in ("resid_post", "pattern") if name in model.ports]
    run = trace(model, prompt, sites=sites)
    edits = edits_of(model, specs)
    held = generation_analysis(before, after)
    session = Session(
        model,
        (run,),
        analyses={held.id: held},
        question=Question(prompt, seed=before.settings["seed"]),
        marks=Marks(edits=tuple(specs)),
        edited=trace(model, prompt, sites=sites, edits=edits) if edits else None,
    )
    save_session(path, session)


# ---------------------------------------------------------------------- what is printed


def _as_json(before: Any, after: Any, specs: Sequence[EditSpec]) -> dict[str, Any]:
    found = {
        "model": before.model,
        "prompt": before.prompt,
        "tokens": list(before.tokens),
        "settings": dict(before.settings),
        "before": _side(before),
    }
    if after is None:
        return found
    texts = [text | {"says": says} for text, says in zip(
        [spec.as_json() for spec in specs], after.edits, strict=True)]  # fmt: skip
    return found | {"after": _side(after), "edits": texts}


def _side(held: Any) -> dict[str, Any]:
    return {
        "text": held.text,
        "tokens": list(held.texts),
        "ids": held.ids.tolist(),
        "probabilities": held.probabilities.tolist(),
        "stopped": held.stopped,
    }


_STOPS = {
    "length": "as many tokens as asked for",
    "end": "ended by the model",
    "context": "the model reads no more",
}


def _as_text(before: Any, after: Any) -> str:
    lines = [f"{before.model}, {_choice(before)}", f"prompt   {before.prompt}"]
    if after is None:
        return "\n".join([*lines, f"goes on  {_written(before)}"])
    lines += [f"edit     {text}" for text in after.edits]
    lines += [f"without  {_written(before)}", f"with     {_written(after)}"]
    at = _parting(before, after)
    if at is None:
        return "\n".join([*lines, "both texts are the same"])
    return "\n".join(
        [*lines, f"they part at token {at}: {_token(before, at)} or {_token(after, at)}"]
    )


def _choice(held: Any) -> str:
    settings = held.settings
    if settings["temperature"] == 0:
        return "most probable tokens"
    limits = [
        f"{name.replace('_', '-')} {settings[name]}"
        for name in ("top_k", "top_p")
        if settings[name] is not None
    ]
    return ", ".join(
        [f"sampled at temperature {settings['temperature']:g}", *limits, f"seed {settings['seed']}"]
    )


def _written(held: Any) -> str:
    text = " ".join(held.text.split("\n"))
    return f"{text}  [{_STOPS[held.stopped]}]"


def _parting(before: Any, after: Any) -> int | None:
    """The first token that differs, counted from 0; None where there is none."""
    pairs = zip(before.ids.tolist(), after.ids.tolist(), strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), None)


def _token(held: Any, at: int) -> str:
    return f"{held.texts[at].strip()!r} ({held.probabilities[at]:.0%})"
