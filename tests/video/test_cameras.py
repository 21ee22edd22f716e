"""Live sources over scripted connections."""

import math
import time
from itertools import chain, repeat
from threading import Event
from threading import enumerate as threads

import numpy as np
import pytest

from tsm_det.errors import InputError
from tsm_det.video import cameras as module
from tsm_det.video.cameras import LiveSource
from tsm_det.video.connection import Connection, TimedImage

BREAK = ConnectionError('broken')
# At almost 0 fps a break costs one frame id, whatever its duration.
FPS = 1e-9


@pytest.fixture
def camera(monkeypatch):
    """Makes a source of scripts, one per connection: numbers drawn in frames, None, Events, functions, errors."""
    monkeypatch.setattr(module, '_MIN_PAUSE_S', 0)
    monkeypatch.setattr(module, '_MAX_PAUSE_S', 0)

    def camera(*scripts, address='rtsp://camera', connection=None, **keys):
        waiting, made = iter(scripts), {'fps': FPS, **(connection or {})}

        def connect(*_):
            script = next(waiting, BREAK)
            if isinstance(script, Exception):
                raise script
            return Connection(play(script, made['fps'] if made.get('is_recorded') else None), **made)
        monkeypatch.setattr(module, 'connect', connect)
        return LiveSource(address, **keys)
    return camera


def play(script, file_fps=None):
    for step in script:
        if isinstance(step, Exception):
            raise step
        if isinstance(step, Event):
            step.wait(30)
        elif callable(step):
            step()
        else:
            yield None if step is None else TimedImage(
                np.full((2, 2, 3), step, np.uint8), file_fps and step / file_fps)


def given(frames, limit=10**9):
    """(frame id, number drawn) of the next frames, at most ``limit``."""
    found = []
    for frame in frames:
        if frame is None:
            time.sleep(0.001)
            continue
        found.append((frame.frame_id, int(frame.image[0, 0, 0])))
        if len(found) == limit:
            break
    return found


def recorded(num_frames):
    return {'is_recorded': True, 'num_frames': num_frames, 'fps': 10}


def test_every_frame_reaches_a_slow_consumer(camera):
    source = camera(range(60), every_frame=True)
    assert given(source.frames(), 60) == [(k, k) for k in range(60)]
    assert source.dropped == 0


def test_a_slow_consumer_gets_the_newest_frame_and_the_others_are_counted(camera):
    first_taken, all_read, late_taken, end = (Event() for _ in range(4))
    source = camera([0, first_taken, *range(1, 9), all_read.set, late_taken, 9, end])
    frames = source.frames()
    assert given(frames, 1) == [(0, 0)]
    first_taken.set()
    assert all_read.wait(30)
    assert given(frames, 1) == [(8, 8)]
    assert source.dropped == 7
    late_taken.set()
    assert given(frames, 1) == [(9, 9)]
    assert source.dropped == 7
    end.set()


def test_a_reconnected_camera_has_a_gap_in_the_frame_ids(camera):
    source = camera([0, 1, 2, BREAK], BREAK, BREAK, [3, 4], [5], every_frame=True)
    assert given(source.frames(), 6) == [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4), (7, 5)]


def test_the_gap_is_as_long_as_the_break(camera, monkeypatch):
    clock = [0.0]

    class ThreeSeconds(Event):
        def wait(self, _):
            clock[0] += 3
            return self.is_set()
    monkeypatch.setattr(module, 'Event', ThreeSeconds)
    monkeypatch.setattr(module.time, 'monotonic', lambda: clock[0])
    source = camera([0, 1, BREAK], BREAK, [2], every_frame=True, connection={'fps': 10}, stall_limit_s=999)
    assert given(source.frames(), 3) == [(0, 0), (1, 1), (1 + 60 + 1, 2)]


def test_a_damaged_frame_is_a_gap(camera):
    source = camera([0, None, 2, None, None, 5], every_frame=True)
    assert given(source.frames(), 3) == [(0, 0), (2, 2), (5, 5)]


@pytest.mark.parametrize('silence', [[Event()], [BREAK], repeat(None)], ids=['mute', 'breaks', 'damaged'])
def test_silence_ends_the_source_at_the_stall_limit(camera, silence):
    source = camera(chain([0], silence), *[silence] * 9, stall_limit_s=0.05, address='rtsp://me:secret@camera/1')
    with pytest.raises(InputError) as error:
        given(source.frames())
    assert str(error.value) == ('rtsp://me@camera/1 gave no frame for 0.05 s: check the camera and the network, or '
                                'raise --stall-limit')


def test_a_dead_address_is_refused_without_its_password(camera):
    with pytest.raises(InputError) as error:
        camera(ConnectionError('Connection refused'), address='rtsp://me:secret@camera/1')
    assert str(error.value).startswith('nothing can be read from rtsp://me@camera/1 (Connection refused): check the')


def test_a_camera_that_need_not_answer_is_waited_for_and_the_wait_is_a_gap(camera):
    source = camera(BREAK, BREAK, BREAK, [3, 4, BREAK], [5], every_frame=True, must_answer=False,
                    stall_limit_s=math.inf)
    assert given(source.frames(start=70), 3) == [(71, 3), (72, 4), (74, 5)]
    assert source.fps == FPS


def test_a_recording_is_not_waited_for(camera):
    """Its first frame might be any."""
    source = camera(BREAK, range(9), connection=recorded(9), must_answer=False)
    with pytest.raises(InputError, match='rtsp://camera'):
        given(source.frames())


def test_times_go_on_from_the_first_frame_id(camera, monkeypatch):
    clock = [50.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: clock[0])
    source = camera([0, lambda: clock.__setitem__(0, 53.0), 1], connection={'fps': 10}, every_frame=True)
    frames = (frame for frame in source.frames(start=200) if frame is not None)
    assert [next(frames).time_s, next(frames).time_s] == [20, 23]
    assert source.begin_s == 30


def test_a_file_behind_an_address_gives_all_frames_and_ends(camera):
    assert not camera([0]).is_recorded
    source = camera(range(9), connection=recorded(9))
    assert (source.is_live, source.is_recorded, source.every_frame, source.num_frames) == (True, True, True, 9)
    assert [(frame.frame_id, frame.time_s) for frame in source.frames() if frame] == [(k, k / 10) for k in range(9)]


def test_a_file_continues_after_a_break_without_repeating_a_frame(camera):
    source = camera([*range(4), BREAK], [*range(2), BREAK], BREAK, [*range(7), BREAK], range(9), connection=recorded(9))
    assert given(source.frames()) == [(k, k) for k in range(9)]


def test_a_file_starts_at_a_frame_and_skips_by_the_stride(camera):
    source = camera([*range(4), BREAK], range(12), connection=recorded(12))
    assert given(source.frames(start=2, stride=3)) == [(2, 2), (5, 5), (8, 8), (11, 11)]


def test_a_file_that_always_breaks_off_at_one_frame_is_refused(camera):
    source = camera(*[[*range(4), BREAK]] * 9, connection=recorded(9))
    taken = []
    with pytest.raises(InputError, match='rtsp://camera .* after 4 frames'):
        for frame in source.frames():
            taken += [] if frame is None else [frame.frame_id]
    assert taken == [0, 1, 2, 3]


def test_a_camera_numbers_from_the_start_and_skips_by_the_stride(camera):
    source = camera(range(9), every_frame=True)
    assert given(source.frames(start=100, stride=4), 3) == [(100, 0), (104, 4), (108, 8)]


def test_times_count_from_the_first_frame(camera, monkeypatch):
    clock = iter(range(100, 10**6))
    monkeypatch.setattr(module.time, 'monotonic', lambda: next(clock))
    source = camera(range(3), every_frame=True, stall_limit_s=10**9)
    frames = (frame for frame in source.frames() if frame is not None)
    times_s = [next(frames).time_s for _ in range(3)]
    assert 0 == times_s[0] < times_s[1] < times_s[2]


def test_an_error_in_the_thread_reaches_the_consumer(camera):
    source = camera([0, KeyError('our bug')], every_frame=True)
    with pytest.raises(KeyError, match='our bug'):
        given(source.frames())


def test_leaving_closes_the_connection_and_ends_the_thread(camera):
    closed = []

    def images():
        try:
            yield from (TimedImage(np.zeros((2, 2, 3), np.uint8)) for _ in range(10**9))
        finally:
            closed.append(True)
    source = camera([], every_frame=True)
    source._first = Connection(images(), FPS)
    before = set(threads())
    frames = source.frames()
    given(frames, 3)
    frames.close()
    assert closed == [True]
    assert not set(threads()) - before


def test_time_with_a_full_queue_does_not_count_as_silence(camera, monkeypatch):
    clock, end = [0.0], Event()
    monkeypatch.setattr(module.time, 'monotonic', lambda: clock[0])
    source = camera([*range(5), end, 5, end.clear, end], every_frame=True, stall_limit_s=10)
    frames = source.frames()
    given(frames, 1)
    clock[0] = 9999.0  # the consumer was slow
    assert given(frames, 4) == [(k, k) for k in range(1, 5)]
    assert next(frames) is None
    end.set()
    assert given(frames, 1) == [(5, 5)]
    clock[0] += 11
    with pytest.raises(InputError, match='gave no frame for 10 s'):
        given(frames)
    end.set()


def test_leaving_ends_a_pause_between_connections_at_once(camera, monkeypatch):
    before = set(threads())
    frames = camera([0], BREAK).frames()
    monkeypatch.setattr(module, '_MIN_PAUSE_S', 999)
    given(frames, 1)
    assert set(threads()) - before
    frames.close()
    assert not set(threads()) - before


def test_leaving_does_not_wait_for_a_camera_that_is_silent(camera):
    end = Event()
    source = camera([0, end], stall_limit_s=10**9)
    frames = source.frames()
    given(frames, 1)
    frames.close()  # would hang otherwise
    end.set()


def test_a_camera_may_be_iterated_again(camera):
    end = Event()
    source = camera([0, 1, end], [2, 3], every_frame=True)
    assert given(source.frames(), 2) == [(0, 0), (1, 1)]
    end.set()
    assert given(source.frames(), 2) == [(0, 2), (1, 3)]


def test_times_go_on_from_those_of_an_earlier_run_whatever_rate_the_camera_states(camera):
    source = camera([0, 1, 2], connection={'fps': 25.0}, every_frame=True)
    source.continue_from(31.8)
    times = []
    for frame in source.frames(562):
        if frame is not None:
            times.append((frame.frame_id, frame.time_s))
        if len(times) == 3:
            break
    assert [frame_id for frame_id, _ in times] == [562, 563, 564]
    assert 31.8 <= times[0][1] <= times[1][1] <= times[2][1]
