"""Frames handed from one thread to another."""

from threading import Thread

import pytest

from tsm_det.errors import InputError
from tsm_det.video import latest_frame as module
from tsm_det.video.latest_frame import LatestFrame


def test_only_the_newest_frame_waits_and_the_others_are_counted():
    latest = LatestFrame(keep_all=False)
    for k in range(5):
        latest.put(k)
    assert (latest.get(), latest.get(), latest.dropped) == (4, None, 4)
    latest.put(5)
    assert (latest.get(), latest.dropped) == (5, 4)


def test_all_frames_wait_and_who_lays_them_down_waits_for_room():
    latest, taken = LatestFrame(keep_all=True), []
    thread = Thread(target=lambda: [*map(latest.put, range(50)), latest.finish(None)], daemon=True)
    thread.start()
    with pytest.raises(StopIteration):
        while True:
            frame = latest.get()
            taken += [] if frame is None else [frame]
    assert taken == list(range(50))
    assert latest.dropped == 0


def test_there_is_room_for_a_few_frames_only():
    latest = LatestFrame(keep_all=True)
    thread = Thread(target=lambda: list(map(latest.put, range(50))), daemon=True)
    thread.start()
    while latest.silence_s() > -1:  # until it waits for room
        pass
    assert [latest.get() for _ in range(4)] == [0, 1, 2, 3]
    latest.close()


def test_waiting_for_room_is_no_silence(monkeypatch):
    monkeypatch.setattr(module.time, 'monotonic', lambda: 0)
    latest = LatestFrame(keep_all=True)
    monkeypatch.setattr(module.time, 'monotonic', lambda: 7)
    assert latest.silence_s() == 7
    for k in range(4):
        latest.put(k)
    assert latest.silence_s() == 0
    thread = Thread(target=latest.put, args=(4,), daemon=True)
    thread.start()
    thread.join(0.05)
    monkeypatch.setattr(module.time, 'monotonic', lambda: 9999)
    assert latest.silence_s() < 0
    latest.close()
    thread.join(30)
    assert not thread.is_alive()


def test_what_ended_the_stream_is_raised_after_its_frames():
    latest = LatestFrame(keep_all=True)
    latest.put(1)
    latest.finish(InputError('the camera fell down'))
    assert latest.get() == 1
    with pytest.raises(InputError, match='the camera fell down'):
        latest.get()


def test_closing_ends_a_pause_at_once():
    latest = LatestFrame(keep_all=False)
    assert not latest.wait_closed(0)
    thread = Thread(target=latest.close)
    thread.start()
    assert latest.wait_closed(30)
    thread.join()
