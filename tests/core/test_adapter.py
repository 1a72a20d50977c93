"""Any module with a weights file, through an adapter that its user wrote and allowed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import microtome as mt
from microtome.errors import ModelDamaged, ModelError, ModelNotFound, UnsafeModel
from microtome.prompts import ImageInput
from microtome.records.units import Unit
from microtome.vision.default_space import default_layer

_CODE = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(5, 2),
    )

IMAGE = {"channels": 3, "size": (8, 10), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
CLASSES = ("cat", "dog")
"""


def _written(folder, code=_CODE):
    """An adapter, weights for it, and the module that they were taken from."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(5, 2),
    )  # fmt: skip
    save_file(module.state_dict(), folder / "net.safetensors")
    (folder / "net.py").write_text(code)
    return folder / "net.py", folder / "net.safetensors", module


def _image():
    values = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return ImageInput(values, prepared=True)


def test_it_gives_the_logits_of_the_module_itself(tmp_path):
    adapter, weights, module = _written(tmp_path)
    model = mt.load_adapter(adapter, weights, allow_code=True)
    run = mt.trace(model, _image())
    pixels = (torch.from_numpy(_image().values.copy()).permute(2, 0, 1).float() / 255 - 0.5) / 0.25
    expected = module(pixels[None]).detach().numpy()
    np.testing.assert_allclose(run.logits, expected, atol=1e-6)
    assert model.answer_token("dog") == 1
    assert [(held.name, held.n_units) for held in model.sight.layers.values()] == [
        ("module.0", 5), ("module.1", 5), ("module.2", 5), ("module.4", 2),
    ]  # fmt: skip


def test_what_units_add_to_a_logit_is_told_of_the_layer_in_front_of_the_readout(tmp_path):
    adapter, weights, module = _written(tmp_path)
    model = mt.load_adapter(adapter, weights, allow_code=True)
    found = mt.unit_evidence(model, _image(), "dog")
    assert list(found.array("unit")) == [f"module.2/{number}" for number in range(5)]
    np.testing.assert_allclose(found.array("weight"), module[4].weight[1].detach(), rtol=1e-4)
    assert default_layer(model) == "module.2"


def test_a_readout_that_bends_on_this_image_alone_has_no_evidence(tmp_path):
    code = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.pool = nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1)
        self.read = nn.Linear(2, 2)
    def forward(self, x):
        return self.read(self.pool(self.convolution(x)).flatten(1).clamp(max=1.0))
def build():
    return Net()
IMAGE = {"channels": 3, "size": (8, 10)}
CLASSES = ("cat", "dog")
"""
    (tmp_path / "net.py").write_text(code)
    held = {"convolution.weight": torch.ones(2, 3, 1, 1), "convolution.bias": torch.full((2,), 0.1),
            "read.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
            "read.bias": torch.zeros(2)}  # fmt: skip
    save_file(held, tmp_path / "net.safetensors")
    model = mt.load_adapter(tmp_path / "net.py", tmp_path / "net.safetensors", allow_code=True)
    dark, bright = (
        ImageInput(np.full((8, 10, 3), level, np.uint8), prepared=True) for level in (20, 200)
    )
    found = mt.unit_evidence(model, dark, "dog")
    assert found.array("contribution").sum() == pytest.approx(found.params["score"], rel=1e-4)
    with pytest.raises(ModelError, match="no sum over a layer of units"):
        mt.unit_evidence(model, bright, "dog")


def test_its_code_never_runs_without_the_word(tmp_path):
    ran = f"import os; os.mkdir({str(tmp_path / 'ran')!r})\n"
    adapter, weights, _ = _written(tmp_path, ran + _CODE)
    with pytest.raises(UnsafeModel, match=r"net\.py is Python code"):
        mt.load_adapter(adapter, weights)
    assert not (tmp_path / "ran").exists()
    mt.load_adapter(adapter, weights, allow_code=True)
    assert (tmp_path / "ran").exists()


def test_a_model_of_other_code_is_another_model(tmp_path):
    adapter, weights, _ = _written(tmp_path)
    first = mt.load_adapter(adapter, weights, allow_code=True).identity
    adapter.write_text(_CODE + "# changed\n")
    assert mt.load_adapter(adapter, weights, allow_code=True).identity.fingerprint != (
        first.fingerprint
    )
    assert first.sees


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "could not be run: ZeroDivisionError in line 1: division by zero"),
        ("import sys\nsys.exit(3)", "could not be run: SystemExit in line 2: 3"),
        ("def build(:", "could not be run: SyntaxError in line 1"),
        ("x = 1", r"defines no build\(\)"),
        (_CODE.replace("return nn", "raise ValueError('no net')\n    return nn"),
         "could not build its module: ValueError in line 5: no net"),
        (_CODE.replace("return nn.Sequential(", "return list("), "could not build its module"),
        ("def build():\n    return 3", "gave a int, but a torch.nn.Module"),
        (_CODE.replace("IMAGE", "PICTURE"), "defines no IMAGE"),
        (_CODE.replace('"channels": 3', '"channels": 4'), "says 4 channels"),
        (_CODE.replace('"size": (8, 10)', '"size": "big"'), "has an IMAGE that cannot be used"),
        (_CODE.replace('("cat", "dog")', '("cat",)'), "names 1 CLASSES, but the module has 2"),
        (_CODE.replace('"channels": 3', '"channels": 1').replace(", 0.5, 0.5", ",")
         .replace(", 0.25, 0.25", ","), "cannot run on an image of"),
        (_CODE.replace('("cat", "dog")', "3"), "CLASSES of net.py is 3, but a list of names"),
        (_CODE.replace('("cat", "dog")', '"ab"'), "CLASSES of net.py is 'ab', but a list of names"),
        (_CODE.replace("0.25, 0.25, 0.25", "0.25, 0, 0.25"), "deviations above 0"),
        (_CODE + "LAYERS = {'edges': 'conv9'}", "names 'conv9', which gives no units"),
        (_CODE + "LAYERS = ['0']", "LAYERS of net.py is .'0'., but names with paths"),
        (_CODE + "LAYERS = {'my edges': '0'}", "calls a layer 'my edges'"),
        ("from torch import nn\ndef build():\n    return nn.Flatten()", "has no parameters"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_adapter_is_said(tmp_path, code, message):
    adapter, weights, _ = _written(tmp_path, code)
    with pytest.raises(ModelError, match=message):
        mt.load_adapter(adapter, weights, allow_code=True)


_ODD = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.ModuleDict({"3x3-conv, first": nn.Conv2d(3, 4, 3)})
        self.act, self.unused = nn.ReLU(inplace=True), nn.Linear(2, 2)
        self.read = nn.Linear(4, 2)

    def forward(self, x):
        x = self.act(self.stem["3x3-conv, first"](x))
        x += 1.0
        return self.read(self.act(x).mean((2, 3)))

def build():
    return Net()

IMAGE = {"channels": 3, "size": (8, 10)}
CLASSES = ("cat", "dog")
"""


def test_layers_have_names_that_units_can_be_written_with_and_values_of_their_own(tmp_path):
    adapter = tmp_path / "net.py"
    adapter.write_text(_ODD)
    torch.manual_seed(0)
    convolution, read = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
    held = {
        **{f"stem.3x3-conv, first.{name}": one for name, one in convolution.state_dict().items()},
        **{f"read.{name}": one for name, one in read.state_dict().items()},
        "unused.weight": torch.zeros(2, 2), "unused.bias": torch.zeros(2),
    }  # fmt: skip
    save_file(held, tmp_path / "net.safetensors")
    model = mt.load_adapter(adapter, tmp_path / "net.safetensors", allow_code=True)
    # What never runs has no units, and what runs twice has them in two places.
    name = "stem.3x3-conv__first"
    assert list(model.sight.layers) == [name, "read"]
    assert Unit.parse(f"{name}/3") == Unit(name, 3)
    # The net goes on to change the layer's values in place; they are read as they were.
    pixels = torch.from_numpy(_image().values.copy()).permute(2, 0, 1)[None].float() / 255
    convolved = convolution(pixels)[0].detach().numpy()
    found = mt.image_maps(model, _image(), [name]).array(name)
    np.testing.assert_allclose(found, convolved, atol=1e-6)
    # What is put in the layer's place is not changed by the net either.
    put = torch.full((1, 4, 6, 8), -1.0)
    with model.sight.changing({name: lambda _: put}), torch.no_grad():
        logits = model.sight.logits(model.sight.pixels([_image()]))
    assert (put == -1.0).all()
    torch.testing.assert_close(logits[0], read(torch.ones(4)).detach())
    adapter.write_text(_ODD + "LAYERS = {'act': 'act'}")
    with pytest.raises(ModelError, match="names 'act', which runs 2 times for one image"):
        mt.load_adapter(adapter, tmp_path / "net.safetensors", allow_code=True)


def test_a_module_without_parts_has_no_layer_to_look_at(tmp_path):
    code = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2, 3))
    def forward(self, x):
        return x.mean((2, 3)) @ self.scale.T
def build():
    return Net()
"""
    adapter, weights, _ = _written(tmp_path, code + _CODE[_CODE.index("IMAGE") :])
    save_file({"scale": torch.ones(2, 3)}, weights)
    with pytest.raises(ModelError, match="has no layer that units can be read from"):
        mt.load_adapter(adapter, weights, allow_code=True)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    adapter, weights, module = _written(tmp_path)
    held = module.state_dict()
    save_file({name: held[name] for name in list(held)[:-1]}, weights)
    with pytest.raises(ModelDamaged, match=r"lack 1 tensors, such as 4\.bias"):
        mt.load_adapter(adapter, weights, allow_code=True)
    save_file({**held, "more": torch.zeros(1)}, weights)
    with pytest.raises(ModelDamaged, match="hold, beside those of the module, 1 tensors"):
        mt.load_adapter(adapter, weights, allow_code=True)
    save_file({**held, "0.bias": torch.zeros(9)}, weights)
    with pytest.raises(ModelDamaged, match="do not fit the adapter's module"):
        mt.load_adapter(adapter, weights, allow_code=True)
    with pytest.raises(ModelNotFound, match="no weights file"):
        mt.load_adapter(adapter, tmp_path / "none.safetensors", allow_code=True)


def test_the_tree_of_modules_tells_shapes(tmp_path):
    adapter, weights, _ = _written(tmp_path)
    tree = mt.module_tree(mt.load_adapter(adapter, weights, allow_code=True))
    assert [(row.path, row.kind, row.output) for row in tree] == [
        ("", "Sequential", (1, 2)),
        ("0", "Conv2d", (1, 5, 8, 10)),
        ("1", "ReLU", (1, 5, 8, 10)),
        ("2", "AdaptiveAvgPool2d", (1, 5, 1, 1)),
        ("3", "Flatten", (1, 5)),
        ("4", "Linear", (1, 2)),
    ]
    assert tree[1].weights == (("weight", (5, 3, 3, 3)), ("bias", (5,)))
    assert tree[0].n_parameters == 5 * 27 + 5 + 12
    assert tree[1].layer == "module.0"


def test_a_language_model_has_a_tree_too():
    tree = mt.module_tree(mt.load_model("induction-exact-tiny"))
    assert tree[0].kind == "GPT2LMHeadModel"
    assert all(row.output for row in tree if row.path.endswith("mlp.c_fc"))
