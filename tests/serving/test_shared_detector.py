"""Frames that wait at the same time."""

import asyncio
import threading

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from tsm_det.errors import InputError
from tsm_det.serving.shared_detector import Found, SharedDetector
from tsm_det.streams.detections import detections_of

IMAGE = np.zeros((4, 4, 3), np.uint8)


class SlowDetector:
    """Notes what it is asked for; the first batch takes until ``go`` is set."""

    classes = ('a',)

    def __init__(self):
        self.asked, self.go = [], threading.Event()

    def detect_batch(self, images, stream_ids, frame_ids):
        self.asked.append(list(zip(stream_ids, frame_ids, strict=True)))
        if 'broken' in stream_ids:
            raise RuntimeError('the model failed')
        assert self.go.wait(60)
        scores = torch.tensor([0.5])
        return [DetDataSample(metainfo={'reset': stream_id}, pred_instances=InstanceData(
            bboxes=torch.full((1, 4), float(frame_id)), scores=scores, labels=torch.zeros(1, dtype=torch.long)))
            for stream_id, frame_id in zip(stream_ids, frame_ids, strict=True)]

    def reset(self, stream_id):
        self.asked.append(stream_id)


async def one_batch(shared, detector, frames):
    """What each of some frames gets that go through in one batch: they wait while a stream is being forgotten."""
    go, reset = threading.Event(), detector.reset
    detector.reset = lambda stream_id: go.wait(60) and reset(stream_id)
    forgotten = asyncio.ensure_future(shared.reset('nobody'))
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(shared.detect(*frame)) for frame in frames]
    await asyncio.sleep(0)
    go.set()
    await forgotten
    detector.reset = reset
    return await asyncio.gather(*waiting, return_exceptions=True)


@pytest.fixture
def slow():
    return SlowDetector()


@pytest.fixture
def shared(slow):
    shared = SharedDetector(slow)
    yield shared
    shared.close()


def test_frames_that_wait_go_through_in_one_batch_and_each_gets_its_own_answer(slow, shared):
    async def four():
        first = asyncio.ensure_future(shared.detect(IMAGE, 'first', 1))
        while not slow.asked:
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(shared.detect(IMAGE, name, k)) for k, name in enumerate('xyz', 5)]
        await asyncio.sleep(0)
        slow.go.set()
        return [await one for one in (first, *others)]

    found = asyncio.run(four())
    assert slow.asked == [[('first', 1)], [('x', 5), ('y', 6), ('z', 7)]]
    assert [(one.reset, one.detections[0]['bbox'][0]) for one in found] == [
        ('first', 1), ('x', 5), ('y', 6), ('z', 7)]


def test_a_stream_is_forgotten_after_its_frame_under_way(slow, shared):
    async def gone():
        frame = asyncio.ensure_future(shared.detect(IMAGE, 'gone', 0))
        await asyncio.sleep(0)
        reset = asyncio.ensure_future(shared.reset('gone'))
        await asyncio.sleep(0)
        slow.go.set()
        await asyncio.gather(frame, reset)

    asyncio.run(gone())
    assert slow.asked == [[('gone', 0)], 'gone']


def test_a_frame_that_nobody_waits_for_any_more_is_left_out(slow, shared):
    async def cancelled():
        first = asyncio.ensure_future(shared.detect(IMAGE, 'first', 0))
        while not slow.asked:
            await asyncio.sleep(0.001)
        second, third = (asyncio.ensure_future(shared.detect(IMAGE, name, 0)) for name in ('second', 'third'))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        slow.go.set()
        await asyncio.gather(first, third)

    asyncio.run(cancelled())
    assert slow.asked == [[('first', 0)], [('third', 0)]]


def test_a_failure_of_the_model_goes_to_who_waits_and_the_next_frame_is_looked_at(slow, shared):
    slow.go.set()
    with pytest.raises(RuntimeError, match='the model failed'):
        asyncio.run(shared.detect(IMAGE, 'broken', 0))
    assert asyncio.run(shared.detect(IMAGE, 'whole', 3)).detections == [
        {'bbox': [3.0] * 4, 'score': 0.5, 'label': 0, 'class': 'a'}]


@pytest.mark.parametrize('order', [['A', 'broken', 'C'], ['broken', 'A', 'C'], ['A', 'C', 'broken']])
def test_a_frame_that_fails_in_a_batch_fails_alone(slow, shared, order):
    slow.go.set()
    found = asyncio.run(one_batch(shared, slow, [(IMAGE, name, k) for k, name in enumerate(order)]))
    assert [one.reset if isinstance(one, Found) else repr(one) for one in found] == [
        "RuntimeError('the model failed')" if name == 'broken' else name for name in order]
    batch = [*zip(order, range(3), strict=True)]
    assert slow.asked == ['nobody', batch, *([one] for one in batch)]


def test_a_picture_that_cannot_be_resized_leaves_the_streams_of_others_as_they_are(make_detector):
    images = np.random.default_rng(0).integers(0, 256, (3, 96, 128, 3), dtype=np.uint8)
    narrow = np.zeros((1, 3000, 3), np.uint8)
    detector, alone = make_detector(), make_detector()
    shared = SharedDetector(detector)
    for k, image in enumerate(images):
        ours, theirs = asyncio.run(one_batch(shared, detector, [(image, 'A', k), (narrow, 'B', k)]))
        assert isinstance(theirs, InputError)
        assert ours.reset == ('new' if k == 0 else None)
        assert ours.detections == detections_of(alone(image), alone.classes)
    shared.close()
    assert detector.bank.stream_ids() == ['A']


def test_a_label_has_the_colour_that_it_has_in_videos(shared):
    assert shared.colours() == ['rgb(255 77 77)']
