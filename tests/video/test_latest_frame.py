"""Frames handed from one thread to another."""

from threading import Thread

import pytest

from tsm_det.errors import InputError
from tsm_det.video import latest_frame as module
from tsm_det.video.latest_frame import Relay


def test_only_the_newest_frame_waits_and_the_others_are_counted():
    relay = Relay(keeps_all=False)
    for k in range(5):
        relay.put(k)
    assert (relay.take(), relay.take(), relay.dropped) == (4, None, 4)
    relay.put(5)
    assert (relay.take(), relay.dropped) == (5, 4)


def test_all_frames_wait_and_who_lays_them_down_waits_for_room():
    relay, taken = Relay(keeps_all=True), []
    thread = Thread(target=lambda: [*map(relay.put, range(50)), relay.end(None)], daemon=True)
    thread.start()
    with pytest.raises(StopIteration):
        while True:
            frame = relay.take()
            taken += [] if frame is None else [frame]
    assert taken == list(range(50))
    assert relay.dropped == 0


def test_there_is_room_for_a_few_frames_only():
    relay = Relay(keeps_all=True)
    thread = Thread(target=lambda: list(map(relay.put, range(50))), daemon=True)
    thread.start()
    while relay.silence_s() > -1:  # until it waits for room
        pass
    assert [relay.take() for _ in range(4)] == [0, 1, 2, 3]
    relay.close()


def test_waiting_for_room_is_no_silence(monkeypatch):
    monkeypatch.setattr(module.time, 'monotonic', lambda: 0)
    relay = Relay(keeps_all=True)
    monkeypatch.setattr(module.time, 'monotonic', lambda: 7)
    assert relay.silence_s() == 7
    for k in range(4):
        relay.put(k)
    assert relay.silence_s() == 0
    thread = Thread(target=relay.put, args=(4,), daemon=True)
    thread.start()
    thread.join(0.05)
    monkeypatch.setattr(module.time, 'monotonic', lambda: 9999)
    assert relay.silence_s() < 0
    relay.close()
    thread.join(30)
    assert not thread.is_alive()


def test_what_ended_the_stream_is_raised_after_its_frames():
    relay = Relay(keeps_all=True)
    relay.put(1)
    relay.end(InputError('the camera fell down'))
    assert relay.take() == 1
    with pytest.raises(InputError, match='the camera fell down'):
        relay.take()


def test_closing_ends_a_pause_at_once():
    relay = Relay(keeps_all=False)
    assert not relay.wait_closed(0)
    thread = Thread(target=relay.close)
    thread.start()
    assert relay.wait_closed(30)
    thread.join()
