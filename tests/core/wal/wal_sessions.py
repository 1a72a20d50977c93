"""Small sessions, random edits of them, and what a file holds, array by array."""

from __future__ import annotations

import os
from dataclasses import replace

import h5py
import numpy as np
from h5py import h5a
from session_records import analyses, checks, circuit, identity, trace

from microtome.prompts import ImageInput, Question
from microtome.records.analysis import Analysis, Labelled
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.marks import Marks, Note, Supernode
from microtome.records.session import Session
from microtome.session.trust import remember
from microtome.session.unsaved import recover, throw_away, unsaved

SITES = ("resid_post",)
FOUR = (
    "logit-lens", "projection/resid_post", "verification/L2H1>M2/value",
    "verification/L2H1<M2/value",
)  # fmt: skip
_LISTS = {"REFERENCE_LIST", "DIMENSION_LIST"}
_WRITTEN = {"saved", "created", "uuid"}  # of the root: as each writing has it


def rounds(short, long):
    """How often a random test is repeated: ``long`` by `make torture`."""
    return long if os.environ.get("MICROTOME_TORTURE") else short


def run(seed=0):
    return trace(identity(), n=5, seed=seed, sites=SITES, logits=False)


def small_session(of=FOUR, **changes):
    """A session of about 80 kB with something of everything, and the analyses that ``of`` names."""
    held = {name: one for name, one in analyses(n=5).items() if name in of}
    fields = {
        "model": identity(), "traces": (run(),), "circuit": circuit(), "analyses": held,
        "question": Question("When Mary", (1, 2), "Mary", 4, seed=3), "view": {"dock": [0]},
        "uuid": "11111111-2222-3333-4444-555555555555", "created": "2026-01-02T03:04:05+00:00",
        "marks": Marks(notes=(Note("", "first"),)), "edited": run(7),
        "versions": {"microtome": "0.1.0"},
    }  # fmt: skip
    return Session(**{**fields, **changes})


def a_photo(dice):
    values = np.random.default_rng(dice.randrange(9999)).integers(
        0, 256, (6, dice.randrange(3, 9), 3), dtype=np.uint8
    )
    return ImageInput(values, "café.png", source="/data/café.png")


def an_analysis(dice, name):
    numbers = np.random.default_rng(dice.randrange(9999))
    values = numbers.standard_normal((dice.randrange(1, 9), 5)).astype(np.float32)
    words = np.array([["é", "b" * dice.randrange(9)]])
    arrays = {
        "values": Labelled(("row", "position"), values, "1", "of each row"),
        "many": Labelled(("entry",), numbers.standard_normal(dice.choice([3, 400, 5000]))),
        "words": Labelled(("one", "two"), words),
    }
    return Analysis(name, "kind", f"title {dice.randrange(99)}", arrays, {"seed": 3})


def _dictionary(dice):
    name = f"d{dice.randrange(99)}"
    return DictionaryIdentity(name, "topk sae", 12, 48, 12, "resid_post.1", "resid_post.1")


def _marks(session, dice):
    note = Note("L1H1@7", "a text " * dice.randrange(300), "2026-01-02T03:04:05+00:00")
    groups = (Supernode("pair", ("a", "b"), collapsed=dice.random() < 0.5),)
    return {"marks": Marks(notes=(*session.marks.notes[:3], note), supernodes=groups)}


def _more(session, dice):
    name = f"added {dice.randrange(4)}"
    return {"analyses": {**session.analyses, name: an_analysis(dice, name)}}


def _fewer(session, dice):
    gone = dice.choice([None, *session.analyses])
    return {"analyses": {name: one for name, one in session.analyses.items() if name != gone}}


def _retitled(session, dice):
    """The same arrays, which may still lie in the file, under another title."""
    named = {
        name: replace(one, title=f"new {dice.randrange(99)}") if dice.random() < 0.5 else one
        for name, one in session.analyses.items()
    }
    return {"analyses": named}


def _again(session, dice):
    made = analyses(n=5, seed=dice.randrange(9))
    name = dice.choice([each for each in made if each != "odd"])
    return {"analyses": {**session.analyses, name: made[name]}}


def _question(session, dice):
    prompt = a_photo(dice) if dice.random() < 0.5 else f"What is {dice.randrange(99)}"
    return {"question": Question(prompt, None, "it", seed=dice.randrange(9))}


EDITS = {
    "marks": _marks,
    "no marks": lambda session, dice: {"marks": Marks()},
    "view": lambda session, dice: {"view": {"dock": [dice.randrange(9)] * dice.randrange(400)}},
    "circuit": lambda session, dice: {
        "circuit": circuit(dice.randrange(99), dice.randrange(2, 40), dice.randrange(1, 90))
    },
    "no circuit": lambda session, dice: {"circuit": None},
    "more analyses": _more,
    "fewer analyses": _fewer,
    "analyses under other titles": _retitled,
    "an analysis made again": _again,
    "question": _question,
    "metric": lambda session, dice: {"metric": {"name": "logit", "value": dice.random()}},
    "checks": lambda session, dice: {"checks": dice.choice([None, checks()])},
    "dictionaries": lambda session, dice: {
        "dictionaries": tuple(_dictionary(dice) for _ in range(dice.randrange(3)))
    },
    "edited run": lambda session, dice: {"edited": run(dice.randrange(99))},
    "no edited run": lambda session, dice: {"edited": None},
}


def edited(session, dice, at_once=3):
    """The session after one to ``at_once`` random edits."""
    for _ in range(dice.randrange(1, at_once + 1)):
        session = replace(session, **EDITS[dice.choice([*EDITS])](session, dice))
    return session


def numbered(session, number):
    """A session that differs from all of other numbers, wherever the number is looked for."""
    note = Note("", f"state {number}")
    return replace(
        session, view={**session.view, "number": number},
        marks=replace(session.marks, notes=(*session.marks.notes[1:], note)),
    )  # fmt: skip


def content(path):
    """All arrays and attributes of a file, but for checksums and times of writing, by path.

    Analyses and their plots go by their ids, for names of groups depend on which came first.
    """
    found = {}
    with h5py.File(path, "r") as file:
        names = {
            f"/{name}": f"<{one.attrs['id']}>" for name, one in file.get("analyses", {}).items()
        }

        def look(name, each):
            if name.partition("/")[0] != "manifest":
                found[_by_id(name, names)] = _plain(each)

        file.visititems(look)
        found["/"] = {k: v for k, v in _attributes(file).items() if k not in _WRITTEN}
    return found


def _by_id(name, names):
    top, _, rest = name.partition("/")
    group, _, rest = rest.partition("/")
    return f"{top}/{names.get(f'/{group}', group)}/{rest}" if top in ("analyses", "entry") else name


def _plain(each):
    about = _attributes(each)
    if isinstance(each, h5py.Dataset):
        return each.shape, str(each.dtype), each[()].tobytes(), about
    return about


def _attributes(each):
    found = {}
    for index in range(h5a.get_num_attrs(each.id)):
        one = h5a.open(each.id, index=index)  # h5py's own way takes five times as long
        if one.name.decode() not in _LISTS:
            value = np.empty(one.shape, one.dtype)
            one.read(value)
            found[one.name.decode()] = str(one.dtype), value.tobytes()
    return found


def after_start(path, answer):
    """What the program does with a file when it finds it: asks, and does as it is told."""
    waits = unsaved(path)
    if waits is not None:
        {"recover": recover, "throw away": throw_away}[answer](path)
    assert unsaved(path) is None
    remember(path)  # spares the trial in a process of its own
    return waits
