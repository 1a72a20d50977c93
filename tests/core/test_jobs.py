"""Jobs: throttled progress, partial results, and a stop that acts at the next checkpoint."""

from __future__ import annotations

import threading

import pytest

from microtome.errors import Cancelled
from microtome.jobs import Job, Progress


class Clock:
    """Time that moves only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_progress_is_reported_at_most_thirty_times_a_second():
    clock, seen = Clock(), []
    job = Job(seen.append, clock=clock)
    for step in range(3000):
        clock.now += 0.001
        job.progress("work", step, 3001)
    assert 80 <= len(seen) <= 91


def test_the_last_step_and_a_new_title_are_always_reported():
    seen = []
    job = Job(seen.append, clock=Clock())
    for title, done in (("load", 0), ("load", 1), ("run", 0), ("run", 2)):
        job.progress(title, done, 2)
    assert [(p.title, p.done) for p in seen] == [("load", 0), ("run", 0), ("run", 2)]


def test_a_cancelled_job_stops_at_every_kind_of_checkpoint():
    job = Job()
    threading.Thread(target=job.cancel).start()
    while not job.cancelled:
        pass
    for checkpoint in (job.check, lambda: job.progress("x", 1, 2), lambda: job.partial("x", 1)):
        with pytest.raises(Cancelled):
            checkpoint()


def test_partial_results_arrive_by_name():
    seen = {}
    Job(on_partial=seen.__setitem__).partial("trace", 42)
    assert seen == {"trace": 42}


def test_the_estimate_is_the_time_that_the_rest_takes_at_the_same_pace():
    assert Progress("x", 1, 4, 2.0).remaining == pytest.approx(6.0)
    assert Progress("x", 0, 4, 2.0).remaining is None
    assert Progress("x", 1, 0, 2.0).fraction == 0
