"""A whole benchmark: its report, page, picture and files, and the summary of the demo."""

import json

import cv2
import pytest
import torch

from tests.benchmark.conftest import MEMORY
from tsm_det.benchmark import benchmark as module
from tsm_det.benchmark.demo_report import demo_summary
from tsm_det.benchmark.report import benchmark_page, draw_benchmark
from tsm_det.png import rendered


def test_the_report_has_the_documented_keys(report):
    assert report.keys() >= {'command', 'date', 'machine', 'settings', 'size', 'frames', 'arms', 'ratio', 'ratios',
                             'by_streams', 'training'}
    assert [(arm['name'], arm['engine']) for arm in report['arms']] == [
        ('tsm', 'eager'), ('2d', 'eager'), ('mmdet', 'mmdet')]
    for arm in report['arms']:
        assert arm.keys() >= {'p50_ms', 'p95_ms', 'p99_ms', 'fps', 'processor_ms', 'stages_ms', 'state_bytes', 'flops',
                              'parameters', 'memory', 'proposals', 'detections', 'samples'}
    assert report['ratio'] == report['ratios']['whole']
    assert report['machine'].keys() >= {'processor', 'threads', 'torch', 'mmcv', 'mmdet', 'tsm_det', 'python'}


def test_all_arms_have_the_same_number_of_proposals_and_detections(report):
    assert [(arm['proposals'], arm['detections']) for arm in report['arms']] == [([20, 20], [10, 10])] * 3


def test_throughput_against_mmdet_is_above_one_where_its_calls_take_longer(report):
    tsm, _, mmdet = report['arms']
    assert report['ratios']['throughput_vs_mmdet']['median'] == pytest.approx(mmdet['p50_ms'] / tsm['p50_ms'])


def test_the_page_has_the_command_the_machine_and_every_figure(report):
    page = benchmark_page(report)
    for fact in (report['command'], report['machine']['processor'], report['machine']['torch'], report['date'],
                 f'{report["ratio"]["median"]:.3f}', f'{report["training"]["ratio"]["median"]:.3f}',
                 '20 proposals', '10 detections', '64x64 px', 'random weights', f'{report["arms"][0]["parameters"]:,}',
                 '## Streams', '## Training', 'tsm / mmdet'):
        assert fact in page
    rows = [line for line in page.splitlines() if line.startswith('| mmdet')]
    assert len(rows) == 4  # boxes, latency, stages, cost


def test_the_page_leaves_out_missing_parts_and_explains_joined_stages(report):
    arms = [{**arm, 'stages_ms': {'maps': 5.0}} for arm in report['arms'][:2]] + report['arms'][2:]
    parts = {key: value for key, value in report.items() if key not in ('by_streams', 'training')}
    page = benchmark_page({**parts, 'arms': arms})
    assert '## Streams' not in page and '## Training' not in page and '`maps`' not in benchmark_page(report)
    assert '`maps`' in page
    assert page.count('| tsm   | -') == 1  # the arm has no backbone stage


@pytest.mark.parametrize('left_out', [(), ('by_streams',)])
def test_the_picture_has_a_panel_for_each_part(report, left_out):
    shown = {key: value for key, value in report.items() if key not in left_out}
    figure = draw_benchmark(shown)
    assert [axes.get_title('left').split()[0] for axes in figure.axes] == [
        'Latency', 'Stages', *(['Throughput,'] if 'by_streams' in shown else [])]
    bars = figure.axes[1]
    ends = [max(patch.get_x() + patch.get_width() for patch in bars.patches if abs(patch.get_center()[1] - row) < 0.1)
            for row in range(3)]
    assert ends == pytest.approx([sum(arm['stages_ms'].values()) for arm in report['arms']])
    assert rendered(figure).std() > 10


def test_files_are_written_and_threads_are_restored(tiny_options, tmp_path, monkeypatch):
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(module, 'peak_memory', lambda plan, images: seen.append(torch.get_num_threads()) or MEMORY)
    report = module.benchmark(
        tiny_options(threads=before + 1, frames=1, json=str(tmp_path / 'b.json'), plot=str(tmp_path / 'b.png'),
                     report=str(tmp_path / 'b.md')), 'the command')
    assert seen == [before + 1] * 2
    assert report['machine']['threads'] == before + 1
    assert torch.get_num_threads() == before
    assert json.loads((tmp_path / 'b.json').read_text()) == report
    assert (tmp_path / 'b.md').read_text() == benchmark_page(report)
    assert cv2.imread(str(tmp_path / 'b.png')).shape[1] > 800


def test_the_engine_is_that_of_both_detectors_but_not_of_mmdets_arm(tiny_options):
    plans = module.arm_plans(tiny_options(engine='fast', vs_mmdet=True, streams=3))
    assert [(plan.name, plan.engine, plan.streams) for plan in plans] == [
        ('tsm', 'fast', 3), ('2d', 'fast', 3), ('mmdet', None, 3)]


def test_the_demo_summary_has_both_arms_and_the_ratio(report, tmp_path):
    for arm, ap50 in (('gate', 0.5), ('2d', 0.25)):
        (tmp_path / arm).mkdir()
        (tmp_path / arm / 'metrics.json').write_text(json.dumps({
            'coco/AP50': ap50, 'coco/AP50_clean': 0.75, 'coco/AP50_degraded': 0.125, 'frames_scored': 7,
            'frames_total': 9}))
    (tmp_path / 'gate' / 'last_checkpoint').write_text('iter_600.pth')
    (tmp_path / 'latency.json').write_text(json.dumps(report))
    summary = demo_summary(tmp_path)
    rows = {line.split()[0]: line.split()[1:] for line in summary.splitlines() if line}
    p50 = {arm['name']: f'{arm["p50_ms"]:.1f}' for arm in report['arms']}
    assert rows['gate'] == ['0.500', '0.125', '0.750', p50['tsm']]
    assert rows['2d'] == ['0.250', '0.125', '0.750', p50['2d']]
    for fact in ('7 of 9', f'{report["ratio"]["median"]:.3f}', 'detections.mp4', 'iter_600.pth', 'latency.json'):
        assert fact in summary
