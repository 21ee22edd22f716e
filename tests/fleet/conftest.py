"""Recordings for the fleet, and what one process makes of them."""

import pytest

from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.fleet.recordings import Job
from tsm_det.published import published
from tsm_det.streams.detect_sources import detect_sources, open_sources


@pytest.fixture(scope='session')
def videos(tmp_path_factory):
    """A folder of four videos of 40 frames."""
    folder = tmp_path_factory.mktemp('fleet')
    make_synthetic_vid(folder, train_videos=1, val_videos=4, frames_per_video=40)
    return folder / 'val'


@pytest.fixture(scope='session')
def expected(videos, tmp_path_factory):
    """The JSON lines of each video by its name, from one process that runs them one by one."""
    folder, detector = tmp_path_factory.mktemp('expected'), Job('', *published('synthvid')).detector()
    lines = {}
    for video in sorted(videos.iterdir()):
        detect_sources(detector, open_sources([str(video)]), json_lines=str(folder / 'one.jsonl'))
        lines[video.name] = (folder / 'one.jsonl').read_bytes()
    return lines


@pytest.fixture
def job(tmp_path):
    return Job(str(tmp_path / 'out'), *published('synthvid'), save_every=5)
