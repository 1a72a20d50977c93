"""The memory of tensors, counted by torch itself."""

from __future__ import annotations

import itertools

from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile


def peak(work):
    """The most bytes of tensors that are there at once, beside those that were before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    events = list(seen.profiler.kineto_results.experimental_event_tree())
    sizes = []
    while events:
        event = events.pop()
        events.extend(event.children)
        if event.tag == _EventType.Allocation:
            sizes.append((event.start_time_ns, event.extra_fields.alloc_size))
    return max(itertools.accumulate(size for _, size in sorted(sizes)), default=0)
