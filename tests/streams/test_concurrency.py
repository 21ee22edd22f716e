"""A detector that several threads share, or that a process inherits."""

import copy
import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tsm_det.errors import InputError

MEMORY = dict(roi_head=dict(type='MemoryRoIHead', memory=dict(k=6, recent=2, sparse=2, every=2)))


def frame(stream, k):
    return np.random.default_rng([stream, k]).integers(0, 255, (96, 96, 3), dtype=np.uint8)


def streamed(detector, stream, frames=5):
    """Boxes and reset reasons of a stream, fed frame by frame."""
    samples = [detector.detect_batch([frame(stream, k)], [stream])[0] for k in range(frames)]
    return [(sample.pred_instances.bboxes, sample.metainfo['reset']) for sample in samples]


@pytest.mark.parametrize('changes', [{}, MEMORY], ids=['shift', 'memory'])
def test_threads_that_share_a_detector_get_what_each_stream_gets_alone(make_detector, changes):
    streams = range(6)
    alone = [streamed(make_detector(changes=changes), stream) for stream in streams]
    shared = make_detector(capacity=len(streams), changes=changes)
    with ThreadPoolExecutor(len(streams)) as pool:
        together = list(pool.map(lambda stream: streamed(shared, stream), streams))
    for expected, given in zip(alone, together, strict=True):
        assert [reason for _, reason in given] == ['new', None, None, None, None]
        assert all(torch.equal(one, other) for (one, _), (other, _) in zip(expected, given, strict=True))


def answer_of_fork(detector, queue):
    try:
        queue.put(detector(frame(0, 0)).pred_instances.bboxes.tolist())
    except InputError as error:
        queue.put(str(error))


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='this system has no fork')
def test_a_forked_process_is_told_to_make_its_own(detector):
    detector(frame(0, 0))  # starts torch's threads, which a fork lacks
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    child = context.Process(target=answer_of_fork, args=(detector, queue))
    child.start()
    answer = queue.get()
    child.join()
    assert str(os.getpid()) in answer and str(child.pid) in answer


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda detector: pickle.loads(pickle.dumps(detector))])
def test_a_copy_has_a_turn_of_its_own_and_no_streams(make_detector, copied):
    detector = make_detector()
    expected = streamed(make_detector(), 0)
    detector(frame(0, 0))
    other = copied(detector)
    with detector._turn:
        given = streamed(other, 0)
    assert [reason for _, reason in given] == [reason for _, reason in expected]
    assert all(torch.equal(one, two) for (one, _), (two, _) in zip(expected, given, strict=True))
