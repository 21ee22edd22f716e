"""Batches of frames from several sources."""

import logging
from dataclasses import dataclass
from itertools import repeat
from threading import Thread
from typing import ClassVar

import numpy as np
import pytest

from tsm_det.errors import InputError
from tsm_det.video.batches import batches
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.prefetch import prefetch

IMAGE = np.zeros((4, 4, 3), np.uint8)


@dataclass
class Scripted:
    """A source that gives these frame ids; None means no new frame, an exception is raised."""

    name: str
    script: list
    is_live: bool = False
    fps: float = 10
    num_frames: int | None = None
    files: tuple = ()
    closed: bool = False
    queue: str | None = None
    is_open: ClassVar = set()

    def frames(self, start=0, stride=1):
        self.is_open.add(self.name)
        try:
            for entry in self.script[start::stride]:
                if isinstance(entry, Exception):
                    raise entry
                yield None if entry is None else StreamFrame(self.name, entry, entry / self.fps, IMAGE)
        finally:
            self.is_open.discard(self.name)
            self.closed = True


class Forever(list):
    """The script of a camera without frames."""

    def __getitem__(self, _):
        return repeat(None)


def ids(stream):
    return [[(frame.stream, frame.frame_id) for frame in batch] for batch in stream]


def test_each_batch_has_one_frame_of_every_source_until_it_ends():
    sources = [Scripted('a', [0, 1, 2]), Scripted('b', [0])]
    assert ids(batches(sources)) == [[('a', 0), ('b', 0)], [('a', 1)], [('a', 2)]]


def test_a_live_source_without_a_new_frame_delays_no_other():
    sources = [Scripted('camera', [None, 5, None, None, 9], is_live=True), Scripted('file', [0, 1, 2])]
    assert ids(batches(sources)) == [
        [('file', 0)], [('camera', 5), ('file', 1)], [('file', 2)], [], [('camera', 9)]]


def test_batches_are_empty_while_there_is_no_frame():
    stream = batches([Scripted('camera', [None, None, 3, *[None] * 999], is_live=True)])
    assert ids(next(stream) for _ in range(4)) == [[], [], [('camera', 3)], []]
    stream.close()


def test_leaving_does_not_wait_for_a_silent_camera():
    silent = Scripted('camera', Forever(), is_live=True)
    stream = prefetch(batches([silent]))
    next(stream)
    leaving = Thread(target=stream.close, daemon=True)
    leaving.start()
    leaving.join(30)
    assert silent.closed and not leaving.is_alive()


def test_sources_start_at_their_frame_and_skip_by_the_stride():
    sources = [Scripted('a', list(range(9))), Scripted('b', list(range(9)))]
    assert ids(batches(sources, {'b': 4}, {'a': 3, 'b': 3})) == [
        [('a', 0), ('b', 4)], [('a', 3), ('b', 7)], [('a', 6)]]


def test_max_frames_limits_each_source():
    sources = [Scripted('a', list(range(9))), Scripted('camera', [None, 1, None, 2, 3], is_live=True)]
    frames = [frame for batch in ids(batches(sources, max_frames=2)) for frame in batch]
    assert sorted(frames) == [('a', 0), ('a', 1), ('camera', 1), ('camera', 2)]


def test_a_failed_source_is_reported_on_stderr_and_the_others_end_first(monkeypatch, capfd):
    monkeypatch.setattr(logging.root, 'handlers', [])  # as in a tool: nothing configures logging
    sources = [Scripted('a', [0, InputError('a is broken')]), Scripted('b', [0, 1, 2])]
    stream = batches(sources)
    assert ids([next(stream) for _ in range(3)]) == [[('a', 0), ('b', 0)], [('b', 1)], [('b', 2)]]
    assert 'a is broken' in capfd.readouterr().err
    with pytest.raises(InputError, match='a is broken'):
        next(stream)


@pytest.mark.parametrize('is_live', [False, True])
def test_leaving_early_closes_every_source(is_live):
    sources = [Scripted(name, list(range(99)), is_live) for name in 'ab']
    stream = batches(sources)
    next(stream)
    stream.close()
    assert all(source.closed for source in sources)


@pytest.mark.parametrize('max_frames', [None, 2])
def test_a_bounded_number_of_recorded_sources_is_open_at_a_time(max_frames):
    sources = [Scripted(f'{k}', list(range(1 + k % 4))) for k in range(30)]
    cameras = [Scripted(name, [None, 1], is_live=True) for name in ('yard', 'gate')]
    seen, sizes = [], []
    for batch in batches([*sources, *cameras], most_open=5, max_frames=max_frames):
        assert len(Scripted.is_open - {'yard', 'gate'}) <= 5
        seen += [(frame.stream, frame.frame_id) for frame in batch]
        sizes.append(len({frame.stream for frame in batch} - {'yard', 'gate'}))
    expected = [(source.name, k) for source in sources for k in source.script[:max_frames]]
    assert sorted(seen) == sorted([*expected, ('yard', 1), ('gate', 1)])
    assert max(sizes) == 5
    assert all(source.closed for source in [*sources, *cameras])


def test_sources_of_one_queue_run_one_after_another_beside_others():
    folder = [Scripted(name, [0, 1], queue='folder') for name in 'ab']
    assert ids(batches([*folder, Scripted('c', [0, 1, 2])])) == [
        [('a', 0), ('c', 0)], [('a', 1), ('c', 1)], [('c', 2)], [('b', 0)], [('b', 1)]]


def test_the_next_source_follows_a_failed_one():
    stream = batches([Scripted('a', [InputError('a is broken')]), Scripted('b', [0])], most_open=1)
    assert ids([next(stream)]) == [[('b', 0)]]
    with pytest.raises(InputError, match='a is broken'):
        next(stream)
