"""Graph files that are broken or would harm."""

from __future__ import annotations

import importlib
import os
import pickle

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
