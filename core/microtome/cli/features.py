"""``microtome features``: what a text shows of a dictionary's features, as a table or a card."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microtome.cli.given import (
    add_model_options,
    expect_writable,
    load,
    progress_job,
    text_source,
    write_rows,
)
from microtome.errors import InputError

if TYPE_CHECKING:
    from microtome.records.feature_card import FeatureCard, Neighbour, Word
    from microtome.records.feature_index import FeatureIndex

_SHOWN, _EXAMPLES = 20, 8
_NEURONS = "neurons."


def add_features(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("model", help="embedded name, folder or hub id")
    add("dictionary", help="embedded name, folder or file; or neurons.2: those of a layer")
    add("--layer", type=int, help="which layer of a set of transcoders")
    add("--text", required=True, help="a text file, folder, JSON lines or Parquet; or a prompt set")
    add("--feature", type=int, help="show the card of this feature in place of the table")
    add("--labels", type=Path, help="a file of published labels")
    add(
        "--propose",
        nargs="?",
        const="tokens",
        metavar="WHO",
        help="propose labels: tokens, the "
        "default, are those that carry a feature; itself, an installed labeller, or a model",
    )
    add("--score", type=int, default=0, metavar="PAIRS", help="score what is proposed by so many "
        "texts with the feature, and as many without")  # fmt: skip
    add("--sort", choices=("rate", "mean", "peak", "purity", "words"), default="rate")
    add("--limit", type=int, default=1_000_000, help="read at most so many tokens")
    add("--context", type=int, help="tokens of a row of text")
    add("--seed", type=int, default=0)
    add("--out", type=Path, help="the session (.h5) or table (.csv) to write")
    add("--save", type=Path, metavar="FOLDER", help="write the dictionary, with --layer its whole "
        "set, as SAELens or circuit-tracer opens it, with examples of this text")  # fmt: skip
    add("--json", action="store_true", help="print the table or the card as JSON")
    add_model_options(parser)


def features(options: argparse.Namespace) -> int:
    """Index the text, write what was asked for, print the table or the card."""
    from microtome.features.indexing import feature_index
    from microtome.records.feature_card import feature_card

    if options.out is not None:
        expect_writable(options.out)
        if options.out.suffix not in (".h5", ".csv"):
            raise InputError(
                f"{options.out.name} is no session or table.", "End it in .h5 or .csv."
            )
    model = load(options)
    dictionary = _dictionary(options, model)
    known = dictionary.identity
    if options.feature is not None and not 0 <= options.feature < known.d_sae:
        raise InputError(f"There is no feature {options.feature} of {known.d_sae:,}.")
    sets = _given_labels(options, known)
    save = _saving(options, dictionary)
    index = feature_index(
        model, dictionary, text_source(options.text), context=options.context, limit=options.limit,
        seed=options.seed, job=progress_job(),
    )  # fmt: skip
    save(index)
    if options.propose:
        sets.insert(0, _proposed(options, model, dictionary, index))
    labels: dict[int, str] = {}
    scores: dict[int, float] = {}
    for one in sets:
        labels |= one.as_mapping()
        scores |= dict.fromkeys(one.as_mapping(), math.nan) | one.scores()
    rows = _rows(index, labels, scores, options.sort)
    if options.out is not None:
        _write(options.out, model, known, index, sets, rows)
    if options.feature is not None:
        card = feature_card(index, options.feature, labels=labels)
        print(json.dumps(_card_json(card), indent=2) if options.json else _card_text(card))
    else:
        print(json.dumps(rows, indent=2) if options.json else _table_text(rows, index))
    return 0


def _dictionary(options: argparse.Namespace, model: Any) -> Any:
    from microtome.features.formats.files import load_dictionary
    from microtome.features.neurons import Neurons

    name = options.dictionary
    number = name.removeprefix(_NEURONS)
    if name.startswith(_NEURONS) and number.isdigit():
        return Neurons(model, int(number))
    return load_dictionary(name, layer=options.layer, allow_download=options.download)


def _saving(options: argparse.Namespace, dictionary: Any) -> Callable[[FeatureIndex], None]:
    """What saves it once the text is read; what cannot be saved is refused before."""
    from microtome.features.formats.files import load_transcoders
    from microtome.features.formats.own_folders import expect_own_folder
    from microtome.features.formats.save_offers import Open, expect_saved, save_as, usual_format

    folder, named = options.save, options.dictionary
    if folder is None:
        return lambda _: None
    expect_own_folder(folder.expanduser())
    in_set = options.layer is not None
    whole = load_transcoders(named, allow_download=options.download) if in_set else None
    held = Open(dictionary, whole)
    name, known = usual_format(held), dictionary.identity.fingerprint
    expect_saved(held, name)
    return lambda index: save_as(held, name, folder, {known: index}, progress_job())


def _given_labels(options: argparse.Namespace, known: Any) -> list[Any]:
    from microtome.features.label_files import read_labels

    if options.labels is None:
        return []
    return [
        read_labels(options.labels, known.fingerprint, n_features=known.d_sae, reads=known.reads)
    ]


def _proposed(options: argparse.Namespace, model: Any, dictionary: Any, index: Any) -> Any:
    from microtome.features.labellers import TOKENS, labeller_named
    from microtome.features.labelling import label_features
    from microtome.features.token_labels import propose_labels

    if options.propose == TOKENS and not options.score:
        return propose_labels(index, job=progress_job())
    who = labeller_named(options.propose, model)
    features = None if options.feature is None else [options.feature]
    return label_features(
        model, dictionary, index, who.labeller, features, origin=who.name, pairs=options.score,
        job=progress_job(),
    )  # fmt: skip


def _rows(
    index: FeatureIndex, labels: Mapping[int, str], scores: Mapping[int, float], sort: str
) -> list[dict[str, Any]]:
    import numpy as np

    from microtome.records.feature_index import table_of

    table, names = table_of(index), index.array("vocabulary")
    keys = np.nan_to_num(table[sort].astype(np.float64), nan=-1.0)
    rows = []
    for feature in np.argsort(-keys, kind="stable").tolist():
        row: dict[str, Any] = {"feature": feature, "label": labels.get(feature, "")}
        score = scores.get(feature, math.nan)
        row["score"] = None if math.isnan(score) else round(score, 4)
        for name in ("rate", "mean", "peak", "purity", "words"):
            value = float(table[name][feature])
            row[name] = None if np.isnan(value) else value
        token = int(table["token"][feature])
        rows.append({**row, "token": "" if token < 0 else str(names[token])})
    return rows


def _write(
    out: Path, model: Any, known: Any, index: FeatureIndex, sets: list[Any], rows: list[Any]
) -> None:
    from microtome.records.feature_index import index_analysis
    from microtome.records.feature_labels import labels_analysis
    from microtome.records.session import Session
    from microtome.session.writer import save_session

    if out.suffix == ".csv":
        write_rows(out, rows)
        return
    held = [index_analysis(index), *(labels_analysis(one) for one in sets)]
    analyses = {one.id: one for one in held}
    save_session(out, Session(model.identity, analyses=analyses, dictionaries=(known,)))


def _table_text(rows: list[dict[str, Any]], index: FeatureIndex) -> str:
    silent = sum(not row["peak"] for row in rows)
    lines = [
        f"{len(rows):,} features over {index.n_positions:,} tokens, {silent:,} never on",
        f"{'feature':>8} {'rate':>8} {'mean':>8} {'peak':>8} {'purity':>7}  token, label",
    ]
    for row in rows[:_SHOWN]:
        purity = "–" if row["purity"] is None else f"{row['purity']:.0%}"
        score = "" if row["score"] is None else f" (detection {row['score']:.2f})"
        lines.append(
            f"{row['feature']:>8} {row['rate']:8.3%} {row['mean']:8.3f} {row['peak']:8.3f} "
            f"{purity:>7}  {row['token']!r} {row['label']}{score}".rstrip()
        )
    return "\n".join(lines)


def _card_text(card: FeatureCard) -> str:
    from microtome.records.feature_examples import joined

    lines = [
        f"Feature {card.feature} of {card.dictionary}" + (f": {card.label}" if card.label else ""),
        f"on at {card.rate:.3%} of tokens, mean {card.mean:.3f}, peak {card.peak:.3f}",
    ]
    if card.dead:
        return "\n".join([*lines, "It is never on in this text."])
    lines += [
        f"tokens: {_words(card.tokens, '.0%')}",
        f"raises: {_words(card.raised, '+.2f')}",
        f"lowers: {_words(card.lowered, '+.2f')}",
        f"alike: {_others(card.alike, '.2f')}",
        f"fires with: {_others(card.fires_with, '.0%')}",
    ]
    for quantile in card.quantiles:
        lines.append(f"{quantile.name}:")
        for one in quantile.examples[:_EXAMPLES]:
            marked = joined(
                [
                    f"«{token}»" if value > 0 else token
                    for token, value in zip(one.tokens, one.activations, strict=True)
                ]
            )
            lines.append(f"  {one.activations[one.peak]:7.3f}  {' '.join(marked.split())}")
    return "\n".join(lines)


def _words(words: tuple[Word, ...], form: str) -> str:
    return ", ".join(f"{word.text!r} {word.value:{form}}" for word in words[:5]) or "–"


def _others(others: tuple[Neighbour, ...], form: str) -> str:
    return ", ".join(f"{one.feature} {one.value:{form}}" for one in others[:5]) or "–"


def _card_json(card: FeatureCard) -> dict[str, Any]:
    from dataclasses import asdict

    held = asdict(card)
    held["histogram"] = card.histogram.tolist()
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in held.items()
    }
