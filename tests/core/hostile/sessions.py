"""Sessions made to do harm, or that contradict themselves: each an edit and its reason."""

import zlib

import h5py
import numpy as np


def outside(folder):
    """Another file of the user, which no session may read."""
    path = folder / "secret.h5"
    if not path.exists():
        with h5py.File(path, "x") as file:
            file["x"] = np.arange(4.0)
    return str(path)


def external(file, folder):
    file["out"] = h5py.ExternalLink(outside(folder), "/x")


def virtual(file, folder):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(outside(folder), "x", (4,))
    file.create_virtual_dataset("v", layout)


def external_storage(file, folder):
    file.create_dataset("e", (8,), "f8", external=[(outside(folder), 0, 64)])


def huge(file, shape, chunks=None):
    file.create_dataset("huge", shape, "f4", chunks=chunks)


def bomb(file, _):
    data = np.zeros((1, 40 << 20), np.uint8)
    file.create_dataset("bomb", data=data, chunks=(1, 1 << 20), compression="gzip")


def growing(file, _):
    made = file["view"].create_dataset(
        "x_json", (1 << 20,), "u1", chunks=(1 << 20,), compression="gzip"
    )
    made.id.write_direct_chunk((0,), zlib.compress(bytes(64 << 20)))
    del file["view/state_json"]
    file["view/state_json"] = made


def unknown_filter(file, _):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((4,))
    plist.set_filter(32099, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(file.id, b"odd", h5py.h5t.IEEE_F32LE, space, plist)


def hole(file, _):
    held = file.create_dataset("hole", (8, 1 << 10), "f4", chunks=(1, 1 << 10))
    held[0] = 1.0


def many(file, _):
    group = file.create_group("many")
    for number in range(20_050):
        group.create_group(str(number))


def deep(file, _):
    path = "/".join("d" * 20)
    file.create_group(path)


def cycle(file, _):
    file["loop"] = file["circuit"].parent


HARMS = {
    "external link": (external, "link to another"),
    "soft link": (lambda f, _: f.update({"soft": h5py.SoftLink("/tokens")}), "link to another"),
    "dangling link": (lambda f, _: f.update({"soft": h5py.SoftLink("/no")}), "link to another"),
    "virtual": (virtual, "from other datasets"),
    "external storage": (external_storage, "another file"),
    "cycle": (cycle, "already visited"),
    "4 TB": (lambda f, _: huge(f, (1 << 40,), (1 << 20,)), "claims 4096 GB"),
    "1 GB of nothing": (lambda f, _: huge(f, (1 << 28,)), "and stores 0"),
    "a large chunk": (
        lambda f, _: f.create_dataset("c", data=np.zeros(20 << 20, "f4"), chunks=(20 << 20,)),
        "chunks of 80 MB",
    ),
    "compression": (bomb, "claims 41943040 bytes and stores"),
    "growing chunk": (growing, "grows beyond its size"),
    "a large packed chunk": (
        lambda f, _: f.create_dataset(
            "p", data=np.zeros(2 << 20, "f8"), chunks=(1 << 20,), compression="lzf"
        ),
        "chunks of 8 MB",
    ),
    "unknown filter": (unknown_filter, "unknown filter 32099"),
    "a hole": (hole, "has 1 of 8 chunks"),
    "dimensions": (lambda f, _: f.create_dataset("n", (1,) * 9, "f4"), "9 dimensions"),
    "a wide cell": (lambda f, _: f.create_dataset("w", (1,), "S70000"), "elements of 70000"),
    "variable text": (lambda f, _: f.update({"t": "variable"}), "variable-length text"),
    "variable attribute": (
        lambda f, _: f["tokens"].attrs.update({"t": "variable"}),
        "variable-length text",
    ),
    "variable array": (
        lambda f, _: f.create_dataset("vl", (2,), h5py.vlen_dtype(np.int32)),
        "the type vlen",
    ),
    "compound": (
        lambda f, _: f.create_dataset("c", (2,), [("a", "i4"), ("b", "f4")]),
        "the type compound",
    ),
    "opaque": (
        lambda f, _: f.create_dataset("o", (2,), h5py.opaque_dtype(np.dtype("V8"))),
        "type opaque",
    ),
    "reference": (lambda f, _: f.create_dataset("r", (2,), h5py.ref_dtype), "reference"),
    "named type": (lambda f, _: f.update({"type": np.dtype("f8")}), "neither a group"),
    "null space": (lambda f, _: f.update({"null": h5py.Empty("f4")}), "no shape"),
    "many objects": (many, "more than 20000 objects"),
    "depth": (deep, "deeper than 16"),
    "attributes": (
        lambda f, _: [f["tokens"].attrs.create(f"a{n}", n) for n in range(70)],
        "has 72 attributes",
    ),
    "markup": (lambda f, _: f.create_group("<img src=x>"), "markup"),
    "line break": (lambda f, _: f.create_group("a\nb"), "control"),
    "right to left": (lambda f, _: f.create_group("a\u202eb"), "control"),
    "long name": (lambda f, _: f.create_group("n" * 5000), "name of 5000"),
}


def replaced(name, values, keep_attributes=True):
    def edit(file):
        held = dict(file[name].attrs) if keep_attributes else {}
        held = {k: v for k, v in held.items() if k not in ("DIMENSION_LIST", "REFERENCE_LIST")}
        del file[name]
        file[name] = values
        for key, value in held.items():
            file[name].attrs[key] = value

    return edit


def removed(name):
    return lambda file: file.pop(name)


def text_json(text):
    return replaced("view/state_json", np.frombuffer(text, np.uint8), keep_attributes=False)


IDS = np.zeros((2, 13), np.int32)
EDGES = "circuit/edge_source"
# Ways in which a session can contradict itself, each with the reason that must be named.
CONTRADICTIONS = {
    "ids outside": (replaced("tokens/ids", IDS + 97), "token ids go from 97 to 97"),
    "ids negative": (replaced("tokens/ids", IDS - 1), "token ids go from -1"),
    "ids as floats": (replaced("tokens/ids", IDS * 1.0), "stored as float64"),
    "ids short": (replaced("tokens/ids", IDS[:, :5]), "shape"),
    "ids flat": (replaced("tokens/ids", IDS[0]), "tokens have the shape"),
    "one run less": (replaced("tokens/ids", IDS[:1]), "for 2 runs"),
    "group for data": (
        lambda file: (file.pop("tokens/ids"), file.create_group("tokens/ids")),
        "/tokens/ids",
    ),
    "data for group": (
        lambda file: (file.pop("circuit"), file.update({"circuit": np.zeros(3)})),
        None,
    ),
    "edges outside": (
        replaced(EDGES, np.full(20, 9, np.int32)),
        "names nodes that it does not",
    ),
    "edges missing": (removed("circuit/edge_weight"), "edge_weight"),
    "edges short": (replaced(EDGES, np.zeros(19, np.int32)), "has the shape"),
    "model missing": (removed("model"), "model"),
    "question missing": (removed("question/question_json"), "question"),
    "params missing": (removed("analyses/odd/params_json"), "params_json"),
    "wrong layers": (
        lambda file: file["activations/z"].attrs.modify("layers", np.array([0, 1, 3])),
        "names layers",
    ),
    "fewer layers": (
        lambda file: file["activations/z"].attrs.create("layers", np.array([0, 1])),
        "shape",
    ),
    "run outside": (
        lambda file: file["activations/z"].attrs.modify("prompts", np.array([0, 2])),
        "claims 2",
    ),
    "no dims": (
        lambda file: file["analyses/odd/wide"].attrs.pop("dims"),
        "analyses in the session",
    ),
    "wrong dims": (
        lambda file: file["analyses/odd/wide"].attrs.modify("dims", np.bytes_("row")),
        "axis names",
    ),
    "NaN score": (
        lambda file: file["circuit/node_score"].write_direct(np.full(9, np.nan, "f4")),
        "not finite",
    ),
    "JSON of NaN": (text_json(b'{"a": NaN}'), "NaN is not JSON"),
    "JSON of infinity": (text_json(b'{"a": 1e999}'), "not finite"),
    "JSON too deep": (text_json(b"[" * 200_000), "nested too deeply"),
    "JSON deep": (text_json(b"[" * 70 + b"]" * 70), "deeper than 64"),
    "JSON number": (text_json(b"1" * 20_000), "not readable JSON"),
    "JSON of bytes": (text_json(b"\xff\xfe{}"), "not readable JSON"),
    "JSON too long": (text_json(b" " * (17 << 20)), "bytes of JSON"),
    "not UTF-8": (replaced("tokens/text", np.full((2, 13), b"\xff")), "not UTF-8"),
    "version": (
        lambda file: file.attrs.modify("format_version", np.bytes_("one")),
        "not like 1.0",
    ),
}
