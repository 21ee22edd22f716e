"""Cameras that stall, break off, come back with another size and die: each frame is scored once, the others go on."""

import time
from itertools import pairwise

import pytest

from tests.soak.servers import Damage, Send, Stall, file_server, mjpeg_camera, rtsp_camera
from tests.soak.soak_memory import tiny_online_detector
from tsm_det.errors import InputError
from tsm_det.streams.detect_sources import detect_sources
from tsm_det.video.batches import batches
from tsm_det.video.cameras import LiveSource
from tsm_det.video.sources import open_source

LIMIT_S = 4
LARGE = (96, 128)
CAMERAS = pytest.mark.parametrize('camera', [mjpeg_camera, rtsp_camera])


class Witness:
    """A detector that keeps the numbers of the pictures that it scored, when, and why their streams began afresh."""

    def __init__(self, video_number):
        self.detector, self.number = tiny_online_detector(), video_number
        self.bank, self.classes, self.model = self.detector.bank, self.detector.classes, self.detector.model
        self.scored = []

    def detect_batch(self, images, stream_ids, frame_ids):
        samples = self.detector.detect_batch(images, stream_ids, frame_ids)
        for image, stream, frame_id, sample in zip(images, stream_ids, frame_ids, samples, strict=True):
            self.scored.append((stream, frame_id, self.number(image), sample.metainfo['reset'], time.monotonic()))
        return samples


@CAMERAS
@pytest.mark.parametrize('every_frame', [False, True])
def test_a_camera_that_stalls_breaks_off_changes_size_and_dies(camera, every_frame, video_frame, video_number):
    damage = [Damage()] if camera is mjpeg_camera else []
    script = [[Send(40), Stall(1), Send(20), *damage, Send(20)], [Send(30, 50, LARGE), Stall(LIMIT_S - 1)],
              [], [Send(20, 50, LARGE), Send(20)], [Send(20), Stall(99)], [Stall(99)]]
    witness = Witness(video_number)
    with camera(script, video_frame) as (made, address):
        source = LiveSource(address, every_frame, stall_limit_s=LIMIT_S)
        with pytest.raises(InputError) as error:
            detect_sources(witness, [source])
        sent, end = made.sent, time.monotonic()
    _, ids, numbers, resets, times = zip(*witness.scored, strict=True)
    jumps = [b - a for a, b in pairwise(ids)]
    print(f'\n{camera.__name__}, every frame {every_frame}: {sent} sent, {len(ids)} scored, {source.dropped} dropped, '
          f'last id {ids[-1]}, largest jump {max(jumps)}, {made.connections} connections, resets '
          f'{[reset for reset in resets if reset]}, "{error.value}" {end - times[-1]:.1f} s after the last frame')
    assert list(numbers) == sorted(set(numbers))
    assert min(jumps) > 0
    assert [reset for reset in resets if reset] == ['new', 'size', 'size']
    assert f'gave no frame for {LIMIT_S} s' in str(error.value)
    assert LIMIT_S - 1 < end - times[-1] < LIMIT_S + 1.5
    assert len(ids) > 30
    # Over RTSP the last of a connection may be lost on its way.
    assert camera is rtsp_camera or len(ids) + source.dropped == sent


@CAMERAS
def test_who_is_slow_gets_the_newest_frame_and_the_rest_is_counted(camera, video_frame, video_number):
    with camera([[Send(200, fps=100), Stall(99)]], video_frame) as (_, address):
        source, taken, ages = LiveSource(address, stall_limit_s=LIMIT_S), [], []
        begin = None
        with pytest.raises(InputError):
            for frame in source.frames():
                if frame is None:
                    time.sleep(0.002)
                    continue
                begin = begin or time.monotonic() - frame.time_s
                ages.append(time.monotonic() - begin - frame.time_s)
                taken.append((frame.frame_id, video_number(frame.image)))
                time.sleep(0.07)
    print(f'\n{camera.__name__}: {len(taken)} of 200 taken at 14 a second, {source.dropped} dropped, oldest when taken '
          f'{1e3 * max(ages):.0f} ms')
    assert len(taken) < 60
    assert all(frame_id == number for frame_id, number in taken)
    # The last one or two stay in the decoder of a connection that fell silent.
    assert taken[-1][0] >= 197
    assert len(taken) + source.dropped == taken[-1][0] + 1
    assert max(ages) < 0.5  # they would be 2.1 s old at the end if they queued


@CAMERAS
def test_who_wants_every_frame_gets_it(camera, video_frame, video_number):
    with camera([[Send(200, fps=100), Stall(99)]], video_frame) as (_, address):
        source, taken = LiveSource(address, every_frame=True, stall_limit_s=LIMIT_S), []
        with pytest.raises(InputError):
            for frame in source.frames():
                time.sleep(0.002 if frame is None else 0.02)
                taken += [] if frame is None else [video_number(frame.image)]
    print(f'\n{camera.__name__}: {len(taken)} of 200 taken at less than 50 a second, {source.dropped} dropped')
    assert taken == list(range(len(taken)))
    assert len(taken) >= 198
    assert source.dropped == 0


def test_a_camera_that_stalls_does_not_hold_up_the_others(video_frame, video_file):
    with (mjpeg_camera([[Send(10), Stall(99)], [Stall(99)]], video_frame) as (_, dead),
          mjpeg_camera([[Send(250, fps=25), Stall(99)]], video_frame) as (_, good)):
        sources = [LiveSource(dead, True, LIMIT_S), LiveSource(good, True, LIMIT_S), open_source(video_file(n=200))]
        times, begin = {source.name: [] for source in sources}, time.monotonic()
        with pytest.raises(InputError, match=f'^{dead} gave no frame'):
            for batch in batches(sources):
                for frame in batch:
                    times[frame.stream].append(time.monotonic())
                time.sleep(0.01)  # the detector
    pauses = [b - a for a, b in zip(times[good], times[good][1:], strict=False)]
    print(f'\nbeside a dead camera: {[len(seen) for seen in times.values()]} frames, the longest pause of the good one '
          f'{1e3 * max(pauses):.0f} ms, its last frame after {times[good][-1] - begin:.1f} s')
    assert [len(seen) for seen in times.values()] == [10, 250, 200]
    assert max(pauses) < 1


@pytest.mark.parametrize('name', ['video.mp4', 'video.mkv', 'video.ts'])
def test_a_file_whose_download_breaks_is_scored_once(video_file, video_number, name):
    muxer = {'movflags': 'faststart'} if 'mp4' in name else {}
    path = video_file(name, n=200, height=240, width=320, g='12', muxer=muxer)
    witness = Witness(video_number)
    with file_server(path, [0.3, 0.2, 0.7, 0.9]) as (downloads, address):
        frames = detect_sources(witness, [LiveSource(address, stall_limit_s=LIMIT_S)])
    print(f'\n{name}: {frames} frames over {len(downloads)} downloads')
    assert [(frame_id, number, reset) for _, frame_id, number, reset, _ in witness.scored] == [
        (k, k, None if k else 'new') for k in range(200)]
    assert len(downloads) == 5
