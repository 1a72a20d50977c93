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


def rested(job, resting, steps):
    """A thread that works on the job until it is stopped, once it has come to its rest."""

    def work():
        try:
            while True:
                job.check()
                steps.append(len(steps))
        except Cancelled:
            steps.append("stopped")

    job.pause()
    thread = threading.Thread(target=work)
    thread.start()
    assert resting.wait(10)
    return thread


def test_a_paused_job_does_nothing_until_it_goes_on():
    resting, going, steps = threading.Event(), threading.Event(), []
    job = Job(on_rest=lambda rests: (resting if rests else going).set())
    thread = rested(job, resting, steps)
    assert job.paused
    assert steps == []
    job.resume()
    assert going.wait(10)
    job.cancel()
    thread.join(10)
    assert steps[-1] == "stopped"
    assert not job.paused


def test_a_stop_wakes_a_paused_job():
    resting, steps = threading.Event(), []
    job = Job(on_rest=lambda rests: resting.set() if rests else None)
    thread = rested(job, resting, steps)
    job.cancel()
    thread.join(10)
    assert not thread.is_alive()
    assert steps == ["stopped"]
    job.pause()  # comes too late
    assert not job.paused


def test_time_at_rest_is_no_time_of_work():
    clock, seen = Clock(), []

    def on_rest(rests):
        if rests:
            clock.now += 3600
            job.resume()

    job = Job(seen.append, clock=clock, on_rest=on_rest)
    job.progress("work", 0, 4)
    clock.now += 2
    job.pause()
    job.progress("work", 2, 4)
    assert seen[-1].elapsed == 2
    assert seen[-1].remaining == pytest.approx(2)


def test_the_estimate_counts_from_where_the_work_began():
    clock, seen = Clock(), []
    job = Job(seen.append, clock=clock)
    job.progress("first", 0, 2)
    clock.now += 100
    job.progress("second", 90, 100, unit="B")  # 90 of them were there already
    clock.now += 5
    job.progress("second", 95, 100, unit="B")
    assert (seen[-1].rate, seen[-1].remaining) == (pytest.approx(1), pytest.approx(5))
    clock.now += 5
    job.progress("second", 0, 100)  # the same work on something else
    assert (seen[-1].elapsed, seen[-1].remaining) == (0, None)


def test_partial_results_arrive_by_name():
    seen = {}
    Job(on_partial=seen.__setitem__).partial("trace", 42)
    assert seen == {"trace": 42}


def test_the_estimate_is_the_time_that_the_rest_takes_at_the_same_pace():
    assert Progress("x", 1, 4, 2.0).remaining == pytest.approx(6.0)
    assert Progress("x", 0, 4, 2.0).remaining is None
    assert Progress("x", 1, 0, 2.0).fraction == 0
