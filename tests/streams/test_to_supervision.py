"""Results drive the counters of supervision."""

import re
import sys
from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from tsm_det import OnlineDetector, config_path, to_supervision
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError
from tsm_det.video.video_file import VideoFile

ROOT = Path(__file__).parents[2]


def sample_of(rows, is_tracked=True):
    """Rows are centre x, y, label and track id."""
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[x - 5, y - 5, x + 5, y + 5] for x, y, *_ in rows], dtype=torch.float32).reshape(-1, 4),
        scores=torch.linspace(0.9, 0.5, len(rows)), labels=torch.tensor([row[2] for row in rows]).long())
    if is_tracked:
        sample.pred_instances.track_ids = torch.tensor([row[3] for row in rows]).long()
    return sample


def test_every_detection_arrives_as_it_is():
    pytest.importorskip('supervision', reason="needs supervision: pip install 'tsm_det[supervision]'")
    rows = [(10, 20, 1, 7), (30, 20, 0, 0), (50, 20, 0, 3)]
    for is_tracked, kept in ((False, [0, 1, 2]), (True, [0, 2])):
        sample = sample_of(rows, is_tracked)
        found = to_supervision(sample, ('cat', 'dog'))
        assert found.xyxy.tolist() == sample.pred_instances.bboxes[kept].tolist()
        assert found.confidence.tolist() == sample.pred_instances.scores[kept].tolist()
        assert found.class_id.tolist() == [rows[k][2] for k in kept]
        assert found.data['class_name'].tolist() == [('cat', 'dog')[rows[k][2]] for k in kept]
        assert (found.tracker_id is None) != is_tracked
    assert found.tracker_id.tolist() == [7, 3]
    assert len(to_supervision(sample_of([]), ('cat', 'dog'))) == 0
    assert 'class_name' not in to_supervision(sample).data


def test_a_line_counts_each_track_that_crosses_it():
    """Two go right, one goes left, one stays, and untracked boxes flicker on both sides."""
    supervision = pytest.importorskip('supervision', reason="needs supervision: pip install 'tsm_det[supervision]'")
    line = supervision.LineZone(supervision.Point(50, 100), supervision.Point(50, 0))
    for k in range(12):
        line.trigger(to_supervision(sample_of([
            (10 + 8 * k, 20, 0, 1), (5 + 9 * k, 40, 1, 2), (95 - 8 * k, 60, 0, 3), (20, 80, 0, 4),
            (30 + 40 * (k % 2), 50, 0, 0)]), ('cat', 'dog')))
    assert sorted([line.in_count, line.out_count]) == [1, 2]


def test_the_example_of_the_docs_counts_like_a_loop_over_the_tracks(tmp_path):
    pytest.importorskip('supervision', reason="needs supervision: pip install 'tsm_det[supervision]'")
    make_synthetic_vid(tmp_path, train_videos=1, val_videos=1, frames_per_video=32)
    [code] = re.findall(r'```python\n(import supervision.*?)```', (ROOT / 'docs/tracking.md').read_text(), re.DOTALL)
    names = {}
    exec(code.replace('data/synthvid/', f'{tmp_path}/'), names)
    detector = OnlineDetector.from_config(
        config_path('tsm_faster_rcnn_r18_synthvid'),
        str(next((ROOT / 'data/checkpoints').glob('tsm_faster_rcnn_r18_synthvid-*'))), tracker='bytetrack')
    sides, crossings = {}, 0
    for image in VideoFile(tmp_path / 'val' / '000.mp4'):
        instances = detector(image).pred_instances
        for box, track_id in zip(instances.bboxes.tolist(), instances.track_ids.tolist(), strict=True):
            side = (box[0] + box[2]) / 2 > 64
            crossings += track_id > 0 and sides.setdefault(track_id, side) != side
            sides[track_id] = side
    assert names['line'].in_count + names['line'].out_count == crossings > 0


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(InputError, match=r'tsm_det\[supervision\]'):
        to_supervision(sample_of([]), ())
