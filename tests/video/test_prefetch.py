"""Stages run at the same time, in order, and end together."""

import threading
import time

import pytest

from tsm_det.video.prefetch import Background, prefetch


def test_items_come_in_their_order():
    assert list(prefetch(iter(range(500)), depth=3)) == list(range(500))


def test_stages_run_at_the_same_time():
    """Each stage waits until the other has an item: in one thread that would never end."""
    first, second = threading.Event(), threading.Event()

    def draw():
        yield 0
        first.set()
        assert second.wait(10)
        yield 1
    taken = []
    for item in prefetch(draw()):
        if item == 0:
            assert first.wait(10)
            second.set()
        taken.append(item)
    assert taken == [0, 1]


def test_at_most_depth_items_are_computed_ahead():
    drawn = []
    items = prefetch(map(drawn.append, range(100)), depth=2)
    next(items)
    # One taken, two waiting, one held by the thread.
    for _ in range(50):
        threading.Event().wait(0.01)
    assert len(drawn) <= 4
    items.close()


def test_an_error_comes_after_the_items_before_it():
    def draw():
        yield 1
        yield 2
        raise KeyError('three')
    taken = []
    with pytest.raises(KeyError, match='three'):
        for item in prefetch(draw()):
            taken.append(item)
    assert taken == [1, 2]


def test_leaving_the_loop_ends_the_thread_and_closes_the_source():
    closed = []

    def draw():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread())
    before = set(threading.enumerate())
    items = prefetch(prefetch(draw()))
    assert [next(items), next(items)] == [0, 1]
    items.close()
    assert not set(threading.enumerate()) - before
    assert len(closed) == 1


def test_live_items_replace_older_ones_which_count_as_dropped():
    goes_on, drawn = threading.Semaphore(0), threading.Event()

    def draw():
        yield from range(5)
        drawn.set()
        goes_on.acquire(timeout=30)
        yield 5
        drawn.set()
        goes_on.acquire(timeout=30)
    latest = Background(draw(), depth=4, is_live=True, keep_newest=True)
    assert drawn.wait(30)
    assert (next(latest), next(latest), latest.dropped) == (4, None, 4)
    drawn.clear()
    goes_on.release()
    assert drawn.wait(30)
    assert (next(latest), latest.dropped) == (5, 4)
    goes_on.release()
    latest.close()


def test_live_items_are_all_kept_without_waiting_for_the_next():
    drawn = []

    def draw():
        for k in range(50):
            drawn.append(k)
            yield k
        raise KeyError('the end')
    waiting, taken = Background(draw(), depth=4, is_live=True), []
    while len(drawn) < 5:
        time.sleep(0.001)
    assert len(drawn) == 5  # four waiting, one held by the thread
    with pytest.raises(KeyError, match='the end'):
        for item in waiting:
            taken += [] if item is None else [item]
    assert (taken, waiting.dropped) == (list(range(50)), 0)
