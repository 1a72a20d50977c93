"""A check that a device computes what the processor does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from microtome.records.memory import free_memory
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, typical


def on_the_cpu(subject: Subject) -> Iterator[Measurement]:
    """11. The logits of a device are those of the CPU.

    MPS has given wrong numbers without a word, in some versions of torch.
    """
    if subject.model.device.type == "cpu":
        raise DoesNotApply("it runs on the CPU already")
    module = subject.model.module
    weights = sum(each.numel() * each.element_size() for each in module.parameters())
    free = free_memory()
    if free is not None and weights > free // 2:
        raise DoesNotApply(f"another copy of {weights / 1e9:.1f} GB does not fit the CPU's memory")
    yield from against(subject, copied_to(module, "cpu"))


def against(subject: Subject, module: nn.Module) -> Iterator[Measurement]:
    """How far the logits are from those of the same module elsewhere."""
    subject.leave_out_turning_routers()
    subject.job.check()
    other = copy.copy(subject.model)
    other.module = module
    found = replace(subject, model=other).plain(subject.ids, subject.source)
    what = f"logits on {subject.model.device} against {other.device}, root mean square"
    yield Measurement(typical(found, subject.logits), subject.logit_goal(1e-3, 1e-1), what)


def copied_to(module: nn.Module, device: str) -> nn.Module:
    """The module with all its tensors elsewhere; none is held twice where it was.

    Weights that are one stay one.
    """
    moved: dict[int, object] = {
        id(each): nn.Parameter(each.detach().to(device, copy=True), requires_grad=False)
        for each in module.parameters()
    }
    moved |= {id(each): each.detach().to(device, copy=True) for each in module.buffers()}
    return copy.deepcopy(module, moved)
