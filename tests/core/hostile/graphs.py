"""Graph files that are broken or would harm."""

from __future__ import annotations

import importlib
import os
import pickle
import zipfile

import numpy as np


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function, *given):
        self.called = function, given

    def __reduce__(self):
        return self.called


def hostile(marker):
    """Pickles that would write a file if anything of them ran."""
    write = f"open({str(marker)!r}, 'w').close()"
    return {
        "a command": pickle.dumps(Calls(os.system, f"touch {marker}")),
        "an expression": pickle.dumps([Calls(eval, write)]),
        "a key": pickle.dumps({(1, Calls(exec, write)): True}),
        "an import": pickle.dumps(Calls(importlib.import_module, "this")),
        "an attribute": b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR.",
        "an old class": b"(S'touch " + str(marker).encode() + b"'\nios\nsystem\n.",
        "an object": b"(cos\nsystem\nS'x'\no.",
        "a registered code": b"\x80\x02\x82\x01.",
        "state of a function": b"ctorch._utils\n_rebuild_tensor_v2\n}S'__code__'\nNsb.",
        "a call of data": b"(lp0\n(tR.",
        "a known class of another package": b"cevil\nUnifiedConfig\n(tR.",
        "an unknown class": b"ccircuit_tracer.graph\nGraph\n(tR.",
        "a function of torch": b"ctorch\nload\n(S'x'\ntR.",
        "a module of numpy": b"cnumpy.f2py.diagnose\nrun_command\n(S'x'\ntR.",
        "numbers that are objects": pickle.dumps(np.array([print], dtype=object)),
        "data outside": b"(S'storage'\ntQ.",
        "an old name": b"P1\n.",
    }  # fmt: skip


HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
NODE = (
    '<key id="k" for="node" attr.name="layer" attr.type="int"/>'
    '<graph><node id="a"><data key="k">{}</data></node></graph></graphml>'
)
EDGE = '<edge source="a" target="a"><data key="weight">nan</data></edge>'
IN = '<graph><node id="a">{}</node></graph></graphml>'
TYPE = "document type"
GRAPHML = {
    "an entity bomb": ('<!DOCTYPE g [<!ENTITY a "aaaa">]>' + HEAD + "</graphml>", TYPE),
    "a file elsewhere": ('<!DOCTYPE g SYSTEM "file:///etc/passwd">' + HEAD + "</graphml>", TYPE),
    "an unknown encoding": ('<?xml version="1.0" encoding="UTF-x"?>' + HEAD, "no whole XML"),
    "no end": (HEAD + '<graph><node id="a"/>', "no whole XML"),
    "two nodes": (HEAD + '<graph><node id="a"/><node id="a"/></graph></graphml>', "two nodes 'a'"),
    "a graph in a graph": (HEAD + IN.format("<graph/>"), "within"),
    "an edge of many ends": (HEAD + "<graph><hyperedge/></graph></graphml>", "hyperedge"),
    "a number of text": (HEAD + NODE.format("x"), "'x' where a number"),
    "a layer over all": (HEAD + NODE.format(2**40), "over 2³¹"),
    "a weight that is none": (HEAD + f'<graph><node id="a"/>{EDGE}</graph></graphml>', "'nan'"),
}


def _pickled(body):
    return b"\x80\x02" + body


def zipped(folder, *members, **settings):
    path = folder / "given.pt"
    with zipfile.ZipFile(path, "w", **settings) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def _one_value(text):
    return f'{{"metadata": {text}, "nodes": [], "links": []}}'


_LINK = '{"source": "a", "target": "a", "weight": %s}'
_DOUBLED = b"N" + b"2\x86" * 60  # a tuple of the last value twice, sixty times over
TEXTS = {
    "deep": ('{"nodes": ' + "[" * 200_000, "nested too deeply"),
    "deep metadata": (_one_value('{"a":' * 5_000 + "1" + "}" * 5_000), "nested too deeply"),
    "NaN": ('{"nodes": [], "links": [' + _LINK % "NaN" + "]}", "NaN"),
    "infinite": ('{"nodes": [], "links": [' + _LINK % "1e999" + "]}", "Link 0"),
    "a number of 20,000 digits": (_one_value("1" * 20_000), "number that cannot be read"),
    "a weight of 4,000 digits": ('{"links": [' + _LINK % ("9" * 4_000) + "]}", "too large|Link 0"),
    "a key twice": ('{"nodes": [], "nodes": []}', "twice"),
    "a score of 400 digits": (
        '{"cfg":{"n_layers":1,"n_heads":1,"parallel_attn_mlp":false,"d_model":3},'
        '"nodes":{"input":{"in_graph":true},"m0":{"in_graph":true}},'
        '"edges":{"input->m0":{"score":' + "9" * 400 + ',"in_graph":true}}}',
        "number that is too large",
    ),
    "cut short": ('{"nodes": [{"node_id": "a"', "ends too early"),
    "behind its end": ('{"nodes": []} {}', "goes on behind its end"),
    "a list": ("[1, 2]", "JSON list"),
    "no key": ("{1: 2}", "no key"),
    "links of text": ('{"nodes": [], "links": ["a"]}', "Link 0"),
    "nodes of numbers": ('{"metadata": {}, "qParams": {}, "nodes": [1], "links": []}', ""),
    "2,000,000 keys": (
        lambda: _one_value("{" + ",".join(f'"k{n}":{n}' for n in range(2_000_000)) + "}"),
        "one value of over 8.4 MB",
    ),
    "1,500,000 nodes": (
        lambda: '{"nodes":[' + ",".join(f'{{"node_id":"{n}"}}' for n in range(1_500_000)) + "]}",
        "more than 500,000 nodes",
    ),
    "20 MB of text": (lambda: _one_value('"' + "x" * 20_000_000 + '"'), "one value of over"),
    "XML that never ends": (lambda: HEAD + "<graph>" + "<a>" * 300_000, ""),
    "XML of 300,000 attributes": (
        lambda: HEAD.rstrip(">") + "".join(f' a{n}=""' for n in range(300_000)) + "></graphml>", ""
    ),
}  # fmt: skip
BYTES = {
    "no text": (b'{"a": "\xff\xfe"}', "is not UTF-8"),
    "empty": (b"", "is empty"),
    "an image": (b"\x89PNG....", "no text"),
    "a key that takes forever": (_pickled(b"}" + _DOUBLED + b"Ns."), "key"),
    "a value of 2^60 parts": (_pickled(_DOUBLED + b"."), ""),
    "edges of 2^60 parts": (_pickled(b"}X\x05\x00\x00\x00edges" + _DOUBLED + b"s."), ""),
    "text of 4 GB": (_pickled(b"\x8d" + (4 << 30).to_bytes(8, "little") + b"x."), "damaged"),
    "a list in itself": (_pickled(b"]q\x00h\x00a."), ""),
    "300,000 lists": (_pickled(b"]" * 300_000 + b"a" * 299_999 + b"."), ""),
    "no stop": (_pickled(b"K\x01" * 1000), "damaged"),
    "torch before 1.6": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", r"before 1\.6"),
}
ZIPS = {
    "no pickle": (lambda f: zipped(f, ("a/b", b"")), "with 0 data.pkl"),
    "two pickles": (lambda f: zipped(f, ("a/data.pkl", b"N."), ("b/data.pkl", b"N.")), "with 2"),
    "packed": (
        lambda f: zipped(f, ("a/data.pkl", bytes(50_000_000)), compression=zipfile.ZIP_DEFLATED),
        "is packed",
    ),
    "the other byte order": (
        lambda f: zipped(f, ("a/data.pkl", b"N."), ("a/byteorder", b"big")), "other byte order"
    ),
    "data elsewhere": (
        lambda f: zipped(f, ("a/data.pkl", _pickled(
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
            b"X\x10\x00\x00\x00../../../secretsX\x03\x00\x00\x00cpuK\x04tQK\x00K\x04\x85K\x01\x85"
            b"\x89}tR."
        ))), "lacks the part",
    ),
    "half a zip": (lambda f: _cut(zipped(f, ("a/data.pkl", b"N." * 500))), "damaged or cut short"),
}  # fmt: skip


def _cut(path):
    path.write_bytes(path.read_bytes()[:600])
    return path
