"""Frames have the times of their stamps, in any container, and where stamps start again."""

from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.soak.servers import file_server
from tsm_det.video.cameras import LiveSource
from tsm_det.video.frame_times import FrameClock, usual_step
from tsm_det.video.sources import open_source
from tsm_det.video.video_file import VideoFile

TICK_S = Fraction(1, 1000)
# A phone in a room that gets dark.
DARKER = list(accumulate([1] * 20 + [8] * 19, initial=0))


@pytest.mark.parametrize(('name', 'codec'), [
    ('video.mp4', 'libx264'), ('video.mkv', 'libx264'), ('video.mov', 'libx264'), ('video.ts', 'libx264'),
    ('video.flv', 'libx264'), ('video.nut', 'libx264'), ('video.gif', 'gif')])
@pytest.mark.parametrize('start', [0, 90])
def test_a_frame_has_the_time_that_it_was_taken(video_file, video_number, name, codec, start):
    keys = {'pix_fmt': 'rgb8'} if codec == 'gif' else {}
    path = video_file(name, codec=codec, stamps=[start + k for k in DARKER], **keys)
    frames = list(open_source(path).frames())
    assert [video_number(frame.image) for frame in frames] == list(range(40))
    assert [frame.time_s for frame in frames] == pytest.approx([k / 25 for k in DARKER], abs=2e-3)


@pytest.mark.parametrize(('name', 'codec'), [
    ('video.avi', 'libx264'), ('video.asf', 'libx264'), ('video.avi', 'mpeg4')])
def test_containers_without_times_of_display_have_those_of_storage(video_file, name, codec):
    """FFmpeg gives frames behind B-frames stamps out of order."""
    video = VideoFile(video_file(name, codec=codec, bf='2'))
    assert video.times_s == pytest.approx([k / 25 for k in range(40)], abs=1e-3)


def join(paths):
    path = paths[0].with_stem('joined')
    path.write_bytes(b''.join(part.read_bytes() for part in paths))
    return VideoFile(path)


@pytest.mark.parametrize('begin', [0, 5, 0.5, 10.5])
def test_stamps_that_start_again_go_on(video_file, video_number, begin):
    """The second recording begins at the same stamp, at one within the first, or between two of the first."""
    video = join([video_file(f'{name}.ts', n=25, fps=50, stamps=[round(2 * (start + k)) for k in range(25)])
                  for name, start in (('first', 0), ('second', begin))])
    assert [video_number(frame) for frame in video] == [*range(25), *range(25)]
    assert video.times_s == pytest.approx([k / 25 for k in range(50)], abs=1e-4)
    assert video.fps == pytest.approx(25)


@pytest.mark.parametrize('name', ['video.mpg', 'video.vob'])
@pytest.mark.parametrize('parts', [2, 4])
def test_joined_program_streams_go_on(video_file, name, parts):
    video = join([video_file(name, n=25, codec='mpeg2video', bf='2')] * parts)
    assert (len(video), video.fps) == (25 * parts, 25)
    assert video.times_s == pytest.approx([k / 25 for k in range(25 * parts)], abs=1e-4)


def test_a_video_behind_http_has_the_times_of_its_stamps(video_file):
    path = video_file(stamps=DARKER, muxer={'movflags': 'faststart'})
    with file_server(path, []) as (_, address):
        times_s = [frame.time_s for frame in LiveSource(address, stall_limit_s=60).frames() if frame]
    assert times_s == [k / 25 for k in DARKER] == VideoFile(path).times_s


@given(st.lists(st.none() | st.integers(0, 9999), min_size=1))
def test_time_never_runs_backwards(stamps):
    usual = usual_step(stamps, TICK_S, 25)
    times_s = list(map(FrameClock(TICK_S, usual), stamps))
    assert times_s[0] == 0
    for (one, other), (before, after) in zip(pairwise(stamps), pairwise(times_s), strict=True):
        grows = None not in (one, other) and other >= one
        assert after - before == pytest.approx((other - one if grows else float(usual)) / 1000)


@pytest.mark.parametrize('fps', [25, 24000 / 1001, 50, 30000 / 1001])
def test_without_stamps_the_rate_gives_the_times(fps):
    assert list(map(FrameClock(TICK_S, usual_step([None] * 9, TICK_S, fps)), [None] * 9)) == pytest.approx(
        [k / fps for k in range(9)])
