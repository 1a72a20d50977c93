"""Any PyTorch module that reads images, through a small file that its user has written.

The file is Python code, the one thing that Microtome runs and did not bring: only on the explicit
word of whoever opens it. The weights come from safetensors, never from a pickle.

An adapter defines ``build()``, which gives the module, ``IMAGE`` (``channels``, ``size`` and, if
they are not 0 and 1, ``mean`` and ``std``), ``CLASSES`` (names in the order of the outputs), and
if only some modules are of interest ``LAYERS`` (our name of a layer: the module's path).
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from microtome.errors import ModelDamaged, ModelNotFound, UnsafeModel, expect
from microtome.jobs import Job, job_or_default
from microtome.models.devices import device_of, dtype_of
from microtome.models.load_errors import first_line
from microtome.models.model import Model
from microtome.models.outline import Outline
from microtome.models.vision.adapter_code import Adapter, run_code
from microtome.models.vision.patches import PatchLexicon
from microtome.models.weights import fingerprint_of_files, read_header
from microtome.sites import SITES
from microtome.triage.examination import examine

_NO_SITES = "a model of an adapter has layers of units instead; see the tabs See, Units and Lesions"


def load_adapter(
    adapter: str | Path,
    weights: str | Path,
    *,
    allow_code: bool = False,
    device: str = "cpu",
    dtype: str = "float32",
    job: Job | None = None,
) -> Model:
    """The model of an adapter, a file of Python code, and of a file of safetensors.

    The code runs with all rights of this program, so ``allow_code`` must say so.
    Raises UnsafeModel without that word and for weights in a pickle, ModelNotFound, ModelDamaged
    for weights that do not fit, ModelError for an adapter that raises or defines too little.
    """
    job = job_or_default(job)
    path, held = _existing(adapter, "adapter"), _existing(weights, "weights file")
    if allow_code is not True:
        raise UnsafeModel(
            f"{path} is Python code, which opening the model would run with all your rights.",
            "Read the file; if you trust it, allow it: allow_code=True.",
        )
    examine("model", [held], job=job)
    header = read_header(held)
    job.progress("Running the adapter", 0, 3)
    asked = Adapter(path, *run_code(path))
    module = asked.module().to(dtype_of(dtype))
    job.progress("Reading the weights", 1, 3)
    _fill(module, held)
    module = module.to(device_of(device)).eval().requires_grad_(requires_grad=False)
    job.progress("Recognising the model", 2, 3)
    sight = asked.sight(module)
    lexicon = PatchLexicon(sight.preprocessing, sight.shape, path.stem)
    identity = asked.identity(module, sight, fingerprint_of_files((header,), job), held.name)
    job.progress("Recognising the model", 3, 3)
    absent = MappingProxyType(dict.fromkeys((*SITES, "lens"), _NO_SITES))
    outline = Outline(
        model_type="adapter", class_name=type(module).__name__, absent=absent, labelled=True
    )
    return Model(module, outline, identity, None, None, (sight, lexicon))


def _existing(given: str | Path, what: str) -> Path:
    expect(given, (str, os.PathLike), what, "a file's path", "Write for example 'adapter.py'.")
    path = Path(given).expanduser()
    if not path.is_file():
        raise ModelNotFound(f"There is no {what} {given}.", "Choose the file.")
    return path.resolve()


def _fill(module: nn.Module, weights: Path) -> None:
    """Put the weights into the module.

    Raises ModelDamaged that names the first tensors which do not fit.
    """
    try:
        missing, unknown = module.load_state_dict(load_file(weights), strict=False)
    except (RuntimeError, SafetensorError, OSError) as error:
        raise ModelDamaged(
            f"The weights in {weights.name} do not fit the adapter's module: {first_line(error)}",
            "Choose the weights that were saved from this module.",
        ) from error
    for names, what in ((missing, "lack"), (unknown, "hold, beside those of the module,")):
        if names:
            raise ModelDamaged(
                f"The weights in {weights.name} {what} {len(names)} tensors, such as {names[0]}.",
                "Save them with safetensors.torch.save_file(module.state_dict(), ...).",
            )
