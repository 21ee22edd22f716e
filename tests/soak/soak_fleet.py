"""A fleet of two nodes with more recordings than in the fast tests, and what Ray costs; run by make soak."""

import json
import time
from pathlib import Path

import pytest

pytest.importorskip('ray', reason="needs pip install 'tsm_det[ray]'")
from tests.fleet.two_nodes import two_nodes
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.fleet.recordings import Job
from tsm_det.fleet.run import run_fleet
from tsm_det.published import published
from tsm_det.streams.detect_sources import detect_sources, open_sources


def make_videos(folder, number, frames):
    make_synthetic_vid(folder, train_videos=1, val_videos=number, frames_per_video=frames)
    return folder / 'val'


def rows_of(job):
    return [json.loads(line) for line in Path(job.out, 'manifest.jsonl').read_text().splitlines()]


def timed(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


@pytest.mark.parametrize('finished', [0, 5, 12], ids='killed after {} recordings'.format)
def test_twenty_recordings_and_a_node_that_dies(tmp_path, finished):
    videos = make_videos(tmp_path / 'data', 20, 60)
    job = Job(str(tmp_path / 'out'), *published('synthvid'), save_every=5)
    manifest = Path(job.out, 'manifest.jsonl')

    def is_time():
        return (manifest.exists() and len(manifest.read_text().splitlines()) >= finished
                and len(list(Path(job.out).glob('*.state'))) >= 2)

    with two_nodes(is_time) as address:
        run_fleet(job, [str(videos)], address)
    assert sorted(row['name'] for row in rows_of(job)) == sorted(video.name for video in videos.iterdir())
    detector = job.detector()
    for video in sorted(videos.iterdir()):
        detect_sources(detector, open_sources([str(video)]), json_lines=str(tmp_path / 'one.jsonl'))
        assert Path(job.out, f'{video.name}.jsonl').read_bytes() == (tmp_path / 'one.jsonl').read_bytes()


def test_cost_of_a_short_recording_and_of_a_detector(tmp_path):
    """Printed, not asserted: times depend on the machine."""
    videos = make_videos(tmp_path / 'data', 200, 4)
    for actors in (1, 2):
        job = Job(str(tmp_path / f'out{actors}'), *published('synthvid'))
        seconds = timed(lambda job=job, actors=actors: run_fleet(job, [str(videos)], actors=actors))
        rows = rows_of(job)
        assert [row['status'] for row in rows] == 200 * ['done']
        begin = min(row['begin'] for row in rows)
        busy, span = sum(row['seconds'] for row in rows), max(row['begin'] + row['seconds'] for row in rows) - begin
        print(f'{actors} detectors: {seconds:.1f} s, of these {seconds - span:.1f} s to start and stop; '
              f'{1e3 * (actors * span - busy) / 200:.0f} ms per recording beside its own {1e3 * busy / 200:.0f} ms')


def test_throughput_beside_one_process(tmp_path):
    """Printed, not asserted."""
    videos = make_videos(tmp_path / 'data', 8, 200)
    job, names = Job('', *published('synthvid')), [str(video) for video in sorted(videos.iterdir())]
    detector = job.detector()
    alone = timed(lambda: [detect_sources(detector, open_sources([name]), json_lines=str(tmp_path / 'one.jsonl'))
                           for name in names])
    print(f'one process: {1600 / alone:.1f} frames per second')
    for actors in (1, 2):
        job = job._replace(out=str(tmp_path / f'out{actors}'))
        run_fleet(job, names, actors=actors)
        rows = rows_of(job)
        span = max(row['begin'] + row['seconds'] for row in rows) - min(row['begin'] for row in rows)
        print(f'{actors} detectors: {1600 / span:.1f} frames per second')
