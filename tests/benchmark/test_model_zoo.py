"""The table of detectors."""

import json

import pytest

from tsm_det.benchmark import model_zoo as module
from tsm_det.benchmark.model_zoo import model_zoo
from tsm_det.errors import InputError
from tsm_det.locks import locked

REPORT = {
    'date': 'today', 'machine': {'processor': 'CPU', 'threads': 2, 'torch': '2'}, 'size': [128, 256],
    'arms': [{'parameters': 3_890_244, 'flops': 70 * 10 ** 7, 'state_bytes': 123_456}],
    'ratios': {'processor': {'median': 1.0204, 'low': 1.01, 'high': 1.03}}}


def test_each_config_is_timed_against_its_baseline_and_published_weights_are_listed(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(module, 'benchmark', lambda options, command: seen.append(
        (options.config, options.baseline, options.frames)) or REPORT)
    (tmp_path / 'metafile.yml').write_text(
        'Models:\n- Config: configs/tsm_faster_rcnn_r18_synthvid.py\n  Metadata: {File Size (MB): 7.82}\n'
        '  Results: [{Metrics: {coco/AP50: 0.7983}}]\n')
    (tmp_path / 'results.json').write_text(json.dumps({
        'baseline': '2d', 'arms': [{'name': 'ours', 'config': 'x/tsm_retinanet_r18_synthvid.py', 'finished': 2,
                                    'options': []},
                                   {'name': 'div4', 'config': 'x/tsm_retinanet_r18_synthvid.py', 'finished': 2,
                                    'options': ['model.backbone.shift_div=4']},
                                   {'name': '2d', 'config': 'x/retinanet_r18_synthvid.py', 'finished': 2,
                                    'options': []}],
        'parts': [{'arms': {'ours': {'mean': 0.7626}, 'div4': {'mean': 0.2}, '2d': {'mean': 0.7354}}},
                  {'arms': {'ours': {'mean': 0.1}}}]}))
    page = model_zoo(['tsm_faster_rcnn_r18_synthvid', 'tsm_retinanet_r18_synthvid'], tmp_path / 'metafile.yml',
                     tmp_path / 'zoo.md', 'python x', 4, [tmp_path / 'results.json'])
    assert [(config.split('/')[-1], baseline.split('/')[-1], frames) for config, baseline, frames in seen] == [
        ('tsm_faster_rcnn_r18_synthvid.py', 'faster_rcnn_r18_synthvid.py', 4),
        ('tsm_retinanet_r18_synthvid.py', 'retinanet_r18_synthvid.py', 4)]
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in page.splitlines() if '`tsm_' in line]
    assert rows == [
        ['`tsm_faster_rcnn_r18_synthvid` (256x128)', '3.9', '0.7', '0.1', '1.020', '1.010 to 1.030', '-', '-', '-',
         '0.798', '7.8'],
        ['`tsm_retinanet_r18_synthvid` (256x128)', '3.9', '0.7', '0.1', '1.020', '1.010 to 1.030', '0.763', '0.735',
         '2', '-', '-']]
    assert (tmp_path / 'zoo.md').read_text() == page


def test_without_names_it_takes_every_temporal_config_that_has_a_baseline(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'benchmark', lambda options, command: REPORT)
    (tmp_path / 'metafile.yml').write_text('Models: []')
    page = model_zoo([], tmp_path / 'metafile.yml', tmp_path / 'zoo.md', 'python x')
    rows = {line.split('`')[1] for line in page.splitlines() if '| `' in line}
    assert rows >= {'tsm_cascade_rcnn_r50_vid', 'tsm_dino_r50_vid', 'tsm_faster_rcnn_swin-t_vid',
                    'tsm_faster_rcnn_mobilenetv2_synthvid', 'tsm_retinanet_r18_synthvid',
                    'tps_faster_rcnn_swin_synthvid', 'tsm_faster_rcnn_r50_vid_gate', 'tsm_faster_rcnn_r50_vid_memory',
                    'tsm_faster_rcnn_mobilenetv2_thermal_degraded_memory'}
    assert 'tsm_faster_rcnn_r50_vid_neck_only' not in rows


def test_a_name_that_is_not_temporal_is_refused(tmp_path):
    with pytest.raises(InputError, match='faster_rcnn_r50_vid'):
        model_zoo(['faster_rcnn_r50_vid'], tmp_path / 'metafile.yml', tmp_path / 'zoo.md', 'python x')


def test_a_page_that_another_run_writes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'benchmark', lambda options, command: pytest.fail('timed in vain'))
    (tmp_path / 'metafile.yml').write_text('Models: []')
    with locked(tmp_path / 'zoo.md'), pytest.raises(InputError, match='zoo.md'):
        model_zoo([], tmp_path / 'metafile.yml', tmp_path / 'zoo.md', 'python x')


@pytest.mark.parametrize('content', ['{}', 'no json', '{"parts": [{"arms": {"a": {"mean": null}}}]}'])
def test_a_file_that_is_not_of_a_finished_comparison_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.setattr(module, 'benchmark', lambda options, command: pytest.fail('timed in vain'))
    (tmp_path / 'results.json').write_text(content)
    with pytest.raises(InputError, match='results.json'):
        model_zoo([], tmp_path / 'metafile.yml', tmp_path / 'zoo.md', 'python x', trained=[tmp_path / 'results.json'])
