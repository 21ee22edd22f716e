"""Streams and annotated videos that have the same name."""

import pytest

from tsm_det.errors import InputError
from tsm_det.evaluation.stream_names import match_streams


@pytest.mark.parametrize(('streams', 'videos', 'expected'), [
    (['/videos/road.mp4'], ['road', 'gate'], ['road']),
    (['road.avi', 'gate'], ['val/road.mp4', 'val/gate.mp4'], ['val/road.mp4', 'val/gate.mp4']),
    (['x/cam1/01.mp4', 'x/cam2/01.mp4'], ['cam1/01', 'cam2/01'], ['cam1/01', 'cam2/01']),
    (['x/cam2/01.mp4', 'x/cam3/02.mp4'], ['cam1/01', 'cam2/01'], ['cam2/01', None]),
    (['clip.01.mp4', 'clip.02.mp4', 'clip.03.mp4'], ['clip.01', 'clip.02'], ['clip.01', 'clip.02', None]),
    (['clip.02', 'clip.03'], ['clip.01', 'clip.02'], ['clip.02', None]),
    ([r'C:\videos\a\road.mp4'], ['a/road', 'b/road'], ['a/road']),
    (['.hidden', '2024.05.01.mp4'], ['.hidden', '2024.05.01'], ['.hidden', '2024.05.01'])])
def test_a_stream_is_the_video_of_its_name(streams, videos, expected):
    ids = dict(enumerate(videos, 5))
    shown = match_streams(streams, ids)
    assert [ids.get(shown.get(stream)) for stream in streams] == expected


@pytest.mark.parametrize(('streams', 'videos', 'facts'), [
    (['gate.mp4'], ['road'], 'gate.mp4.* road'), ([], ['road'], 'road'),
    (['01.mp4'], ['cam1/01', 'cam2/01'], '01.mp4 .*cam1/01 or cam2/01'), (['a.mp4'], ['a', 'a'], 'a or a'),
    (['x/a.mp4', 'y/a.mp4', 'b.mp4'], ['a', 'b'], 'x/a.mp4 and y/a.mp4 .* a:')])
def test_what_may_be_another_video_is_refused(streams, videos, facts):
    with pytest.raises(InputError, match=facts):
        match_streams(streams, dict(enumerate(videos)))
