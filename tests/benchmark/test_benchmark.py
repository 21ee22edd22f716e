"""The whole of a benchmark, its page and its picture."""

import json

import cv2
import pytest
import torch

from tests.benchmark.conftest import MEMORY
from tsm_det.benchmark import benchmark as module
from tsm_det.benchmark.benchmark import arm_plans
from tsm_det.benchmark.markdown import benchmark_page
from tsm_det.benchmark.plot import draw_benchmark
from tsm_det.png import rendered


def test_the_report_has_what_readers_of_the_file_rely_on(report):
    assert report.keys() >= {'command', 'date', 'machine', 'settings', 'size', 'frames', 'arms', 'ratio', 'ratios',
                             'by_streams', 'training'}
    assert [arm['name'] for arm in report['arms']] == ['tsm', '2d', 'mmdet']
    assert [arm['engine'] for arm in report['arms']] == ['eager', 'eager', 'mmdet']
    for arm in report['arms']:
        assert arm.keys() >= {'p50_ms', 'p95_ms', 'p99_ms', 'fps', 'processor_ms', 'stages_ms', 'state_bytes', 'flops',
                              'parameters', 'memory', 'proposals', 'detections', 'samples'}
    assert report['ratio'] == report['ratios']['whole']
    assert report['machine'].keys() >= {'processor', 'threads', 'torch', 'mmcv', 'mmdet', 'tsm_det', 'python'}


def test_all_arms_see_as_many_proposals_and_give_as_many_detections(report):
    assert [arm['proposals'] for arm in report['arms']] == [[20, 20]] * 3
    assert [arm['detections'] for arm in report['arms']] == [[10, 10]] * 3


def test_throughput_against_mmdet_is_above_one_where_its_calls_take_longer(report):
    tsm, _, mmdet = report['arms']
    assert report['ratios']['throughput_vs_mmdet']['median'] == pytest.approx(mmdet['p50_ms'] / tsm['p50_ms'])


def test_the_page_has_the_command_the_machine_and_every_figure(report):
    page = benchmark_page(report)
    for needed in (report['command'], report['machine']['processor'], report['machine']['torch'], report['date'],
                   f'{report["ratio"]["median"]:.3f}', f'{report["training"]["ratio"]["median"]:.3f}',
                   'at most 20 proposals and 10 detections', '64x64 px of random frames', 'random weights',
                   f'{report["arms"][0]["parameters"]:,}', '## Streams', '## Training', 'tsm / mmdet'):
        assert needed in page
    rows = [line for line in page.splitlines() if line.startswith('| mmdet')]
    assert len(rows) == 4  # boxes, latency, stages, cost


def test_the_page_leaves_out_what_was_not_asked_for(report):
    page = benchmark_page({key: value for key, value in report.items() if key not in ('by_streams', 'training')})
    assert '## Streams' not in page
    assert '## Training' not in page


def test_stages_that_an_engine_joins_are_explained(report):
    arms = [{**arm, 'stages_ms': {'maps': 5.0}} for arm in report['arms'][:2]] + report['arms'][2:]
    page = benchmark_page({**report, 'arms': arms})
    assert "`maps`: backbone, neck and the RPN's convolutions" in page
    assert page.count('| tsm   | -') == 1  # no stage of its own for the backbone


@pytest.mark.parametrize('left_out', [(), ('by_streams',)])
def test_the_picture_has_a_panel_for_each_part(report, left_out):
    shown = {key: value for key, value in report.items() if key not in left_out}
    figure = draw_benchmark(shown)
    assert [axes.get_title('left').split()[0] for axes in figure.axes] == [
        'Latency', 'Stages', *(['Throughput,'] if 'by_streams' in shown else [])]
    [bars] = [axes for axes in figure.axes if axes.get_title('left') == 'Stages']
    ends = [max(patch.get_x() + patch.get_width() for patch in bars.patches if abs(patch.get_center()[1] - row) < 0.1)
            for row in range(3)]
    assert ends == pytest.approx([sum(arm['stages_ms'].values()) for arm in report['arms']])
    assert rendered(figure).std() > 10


def test_files_are_written_and_threads_are_put_back(tiny_options, tmp_path, monkeypatch):
    before = torch.get_num_threads()
    seen = []
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


def test_the_engine_is_that_of_both_detectors_and_mmdets_arm_is_plain(tiny_options):
    plans = arm_plans(tiny_options(engine='fast', vs_mmdet=True, streams=3))
    assert [(plan.name, plan.engine, plan.streams) for plan in plans] == [
        ('tsm', 'fast', 3), ('2d', 'fast', 3), ('mmdet', None, 3)]
