"""What Prometheus is told equals the JSON lines."""

import json
import socket
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import numpy as np
import pytest

pytest.importorskip('prometheus_client', reason="needs pip install 'tsm_det[ray]'")
from prometheus_client.parser import text_string_to_metric_families

from tests.soak.servers import Send, Stall, mjpeg_camera
from tsm_det.streams.detect_sources import detect_sources
from tsm_det.streams.metrics import StreamMetrics, served
from tsm_det.video.cameras import LiveSource, StreamFrame
from tsm_det.video.sources import open_source


def scraped(targets):
    """All numbers at an address of a file of targets, by name and labels."""
    address = Path(targets).read_text().split('"')[1]
    with urlopen(f'http://{address}/metrics') as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {(sample.name, *sample.labels.values()): sample.value for family in families
                for sample in family.samples}


class Leave(Exception):
    """Ends a run."""


def test_the_text_has_the_numbers_of_the_lines(make_detector, video_frame, video_file, tmp_path):
    sizes = [(48, 64), (96, 128), (48, 64)]
    targets = tmp_path / 'prometheus' / 'all.yml'
    with mjpeg_camera([[*(Send(5, 50, size) for size in sizes), Stall(99)]], video_frame) as (_, address):
        camera = LiveSource(address, every_frame=True)
        camera.name, sources = 'gate', [camera, open_source(video_file(n=9))]
        metrics = StreamMetrics(sources)

        def count(frame, reset):
            metrics(frame, reset)
            if scraped(targets)['tsm_det_frames_total', 'gate'] == 15:
                raise Leave

        with served(metrics, '127.0.0.1', targets):
            with pytest.raises(Leave):
                detect_sources(make_detector(), sources, json_lines=f'{tmp_path}/', on_frame=count)
            numbers = scraped(targets)
    assert not targets.exists()
    for name in ('gate', 'video.mp4'):
        lines = [json.loads(line) for line in (tmp_path / f'{Path(name).stem}.jsonl').read_text().splitlines()]
        assert numbers['tsm_det_frames_total', name] == len(lines) > 0
        resets = Counter(line['reset'] for line in lines if line['reset'])
        assert resets == {key[2]: number for key, number in numbers.items()
                          if key[:2] == ('tsm_det_resets_total', name)}
    assert resets == {'new': 1}
    assert numbers['tsm_det_resets_total', 'gate', 'size'] == 2
    assert numbers['tsm_det_latency_seconds_count', 'gate'] == 15
    assert numbers['tsm_det_latency_seconds_count', 'video.mp4'] == 0
    assert numbers['tsm_det_dropped_frames_total', 'gate'] == 0


@pytest.fixture
def port():
    with closing(socket.create_server(('127.0.0.1', 0))) as free:
        return free.getsockname()[1]


def test_the_tool_serves_them_during_a_run(run, video_file, port, monkeypatch):
    seen, count = [], StreamMetrics.__call__

    def scrape(metrics, frame, reset):
        count(metrics, frame, reset)
        with urlopen(f'http://127.0.0.1:{port}/metrics') as answer:
            seen.append(f'tsm_det_frames_total{{camera="video.mp4"}} {frame.frame_id + 1}.0' in answer.read().decode())

    monkeypatch.setattr(StreamMetrics, '__call__', scrape)
    status, _, err = run(f'detect_video synthvid {video_file(n=5)} --metrics {port}')
    assert status == 0, err
    assert seen == [True] * 5
    with pytest.raises(OSError):
        urlopen(f'http://127.0.0.1:{port}/metrics')


def test_without_prometheus_client_the_tool_names_it(run, video_file, monkeypatch):
    monkeypatch.setitem(sys.modules, 'prometheus_client', None)
    monkeypatch.delitem(sys.modules, 'tsm_det.streams.metrics')
    status, _, err = run(f'detect_video synthvid {video_file(n=2)} --metrics 0')
    assert status == 2 and 'tsm_det[ray]' in err.strip().splitlines()[-1] and 'Traceback' not in err


@pytest.mark.parametrize('wrong', ['taken', '99999', '-1'])
def test_a_port_that_cannot_be_had_is_one_sentence(run, video_file, wrong):
    with closing(socket.create_server(('127.0.0.1', 0))) as taken:
        wrong = str(taken.getsockname()[1]) if wrong == 'taken' else wrong
        status, _, err = run(f'detect_video synthvid {video_file(n=2)} --metrics={wrong}')
    assert status == 2 and wrong in err.strip().splitlines()[-1] and 'Traceback' not in err


@pytest.mark.parametrize('latency_s', [0.006, 0.05, 0.3, 2.0])
def test_quantiles_are_read_within_a_fifth(monkeypatch, latency_s):
    """As Prometheus reads them: from the first bucket that holds so many of the frames."""
    source = LiveSource.__new__(LiveSource)
    source.__dict__.update(name='gate', dropped=0, begin_s=100.0, is_recorded=False)
    metrics = StreamMetrics([source])
    monkeypatch.setattr('tsm_det.streams.metrics.time', SimpleNamespace(monotonic=lambda: 107.0 + latency_s))
    for k in range(20):
        source.dropped = 2 * k
        metrics(StreamFrame('gate', k, 7.0, np.zeros((2, 2, 3), np.uint8)), None)
    [buckets] = [[sample for sample in family.samples if sample.name.endswith('_bucket')]
                 for family in metrics.registry.collect() if family.name == 'tsm_det_latency_seconds']
    limit = min(float(sample.labels['le']) for sample in buckets if sample.value >= 19)
    assert latency_s <= limit < 1.2 * latency_s
    assert metrics.registry.get_sample_value('tsm_det_dropped_frames_total', {'camera': 'gate'}) == 38
