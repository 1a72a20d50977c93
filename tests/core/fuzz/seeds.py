"""Sound files of every kind that is read, small ones: what the damage is done to."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import graph_samples
import h5py
import numpy as np
import tiny_models
from hostile.graphs import HEAD
from PIL import Image
from plain_files import D_IN, D_SAE, Held, sae_shapes, write_saelens
from plain_other_files import write_learned
from session_records import circuit, identity, trace

import microtome as mt
from microtome.circuits.formats.files import FORMATS

Folder = dict[str, bytes]  # files of a folder by their names
MOST = 20_000  # bytes of a seed
_PAIR = {"clean": "a b", "corrupt": "a c", "answer": "d", "wrong": "e"}


def _bytes(folder: Path) -> Folder:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def sessions(folder: Path) -> list[Folder]:
    """Three small sessions: with a run, with a circuit, with almost nothing."""
    small = trace(identity(), 3, k=2, sites=("resid_post",), layers=(0,), logits=False)
    made = (
        mt.Session(model=identity(), traces=(small,)),
        mt.Session(model=identity(), traces=(small,), circuit=circuit(nodes=3, edges=4)),
    )
    for number, session in enumerate(made):
        mt.save_session(folder / "whole.h5", session, include=["resid_post"])
        _packed(folder / "whole.h5", folder / f"{number}.h5")
        (folder / "whole.h5").unlink()
    return [{"given.h5": data} for data in _bytes(folder).values()]


def _packed(given: Path, made: Path) -> None:
    """The same values in HDF5's newer form, without its lists of references: half the bytes."""
    with h5py.File(given) as old, h5py.File(made, "x", libver="latest") as new:
        new.attrs.update(old.attrs)
        old.visititems(lambda name, item: _copied(name, item, new))


def _copied(name: str, item: h5py.Group | h5py.Dataset, new: h5py.File) -> None:
    if isinstance(item, h5py.Group):
        made = new.require_group(name)
    else:
        made = new.create_dataset(name, data=item[()], dtype=item.dtype, chunks=item.chunks)
    for key, value in item.attrs.items():
        if key not in ("DIMENSION_LIST", "REFERENCE_LIST"):
            made.attrs[key] = value


def models(folder: Path) -> list[Folder]:
    """A model of one small layer with a tokenizer."""
    tiny_models.save("gpt2", folder, n_layer=1, n_embd=4, n_head=1, vocab_size=20, n_positions=8)
    tiny_models.save_tokenizer(folder, size=20)
    held = _bytes(folder)
    index = {"metadata": {}, "weight_map": {"a": "model.safetensors", "b": "model.safetensors"}}
    return [held, held | {"model.safetensors.index.json": json.dumps(index).encode()}]


def dictionaries(folder: Path) -> list[Folder]:
    """One of SAELens, one of Gemma Scope, one of dictionary_learning, a set of two layers."""
    write_saelens(folder / "a", Held(**sae_shapes()), "standard")
    held = {name: each.numpy() for name, each in Held(**sae_shapes(threshold=(D_SAE,))).items()}
    (folder / "b").mkdir()
    np.savez(folder / "b" / "params.npz", **held)
    linear = {"encoder.weight": (D_SAE, D_IN), "encoder.bias": (D_SAE,),
              "decoder.weight": (D_IN, D_SAE), "bias": (D_IN,)}  # fmt: skip
    write_learned(folder / "c", "AutoEncoder", dict(Held(**linear)))
    return [_bytes(folder / name) for name in "abc"]


def graphs(folder: Path) -> list[Folder]:
    """Every format of graphs."""
    current = graph_samples.write(folder / "a.json", graph_samples.current())
    graph_samples.write(folder / "first.json", graph_samples.first())
    graph_samples.write(folder / "eap.json", graph_samples.eap(neurons=True))
    mt.write_graph(folder / "b.graphml", mt.read_graph(current))
    eap = mt.read_graph(folder / "eap.json")
    for name, row in FORMATS.items():
        if row.suffix.startswith(".p") and not row.why_not(eap):
            mt.write_graph(folder / f"{name}{row.suffix}", eap, name)
    (folder / "f.graphml").write_text(HEAD + '<graph><node id="a"/></graph></graphml>')
    return [{f"given{Path(name).suffix}": data} for name, data in _bytes(folder).items()]


def images(_: Path) -> list[Folder]:
    """A small image of every kind."""
    values = np.random.default_rng(0).integers(0, 256, (24, 18, 3)).astype(np.uint8)
    found = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"):
        for image in (Image.fromarray(values), Image.fromarray(values[:, :, 0])):
            file = io.BytesIO()
            image.save(file, kind)
            found.append({"given.png": file.getvalue()})
    return found


def prompts(_: Path) -> list[Folder]:
    """A prompt set, and one of token ids."""
    ids = {"clean": [1, 2], "corrupt": [1, 3], "answer": 4, "wrong": 5}
    held = ({"name": "a", "title": "b", "pairs": [_PAIR] * 3}, {"pairs": [ids]})
    return [{"given.json": json.dumps(each).encode()} for each in held]


def suites(_: Path) -> list[Folder]:
    """A suite of cases."""
    case = {"prompt": "a b", "answer": "c", "wrong": "d", "slices": ["x"]}
    return [{"given.json": json.dumps({"name": "a", "cases": [case] * 3}).encode()}]


def labels(_: Path) -> list[Folder]:
    """Labels as one object, as the exports' lines, and packed."""
    lines = b"\n".join(
        json.dumps({"index": str(at), "layer": "1-a", "description": "x"}).encode()
        for at in range(9)
    )
    return [
        {"given.json": json.dumps({"0": "a", "5": "b"}).encode()},
        {"given.jsonl": lines},
        {"given.jsonl.gz": gzip.compress(lines, mtime=0)},
    ]


def preprocessing(_: Path) -> list[Folder]:
    """How images are made ready for a model."""
    settings = {
        "image_processor_type": "ViTImageProcessor", "do_resize": True, "do_normalize": True,
        "size": {"height": 8, "width": 8}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        "do_rescale": True, "rescale_factor": 1 / 255, "resample": 2,
    }  # fmt: skip
    config = json.dumps({"image_size": 8, "num_channels": 3}).encode()
    return [{"preprocessor_config.json": json.dumps(settings).encode(), "config.json": config}]
