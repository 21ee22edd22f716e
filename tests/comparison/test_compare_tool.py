"""The comparison as a user types it, with the real tools: one step of training, latency included."""

import json

import pytest
import torch

from tests.conftest import TOOLS
from tests.tiny import STEPS, TINY, build
from tsm_det import config_path
from tsm_det.comparison.comparison import measure_latency
from tsm_det.comparison.runs import ArmConfig, Run
from tsm_det.datasets.synthetic_vid import make_synthetic_vid

ARMS = f'--arm tsm {config_path("tsm_faster_rcnn_r18_synthvid")} --arm 2d {config_path("faster_rcnn_r18_synthvid")}'


@pytest.mark.slow
def test_two_arms_are_trained_tested_timed_and_compared(run, tmp_path):
    make_synthetic_vid(tmp_path / 'data', train_videos=2, val_videos=2, frames_per_video=4)
    steps = STEPS.replace('=3', '=1')
    status, out, err = run(
        f'compare {ARMS} --baseline 2d --seeds 1 --out {tmp_path}/out --draws 20 --latency-frames 3 --cfg-options '
        f'data_root={tmp_path}/data train_dataloader.dataset.pipeline.0.num_frames=2 '
        f'model.test_cfg.rcnn.score_thr=0 model.test_cfg.rpn.max_per_img=17 {TINY}{steps}')
    assert status == 0, out + err
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    for finished in results['runs']:
        assert finished['state'] == 'finished'
        assert finished['metrics']['frames_scored'] == 8
        for key, value in finished['ap50'].items():
            kind, name = key.split('/')
            metric = {'all': 'coco/AP50', 'motion': f'coco/AP50_{name}', 'subset': f'coco/AP50_{name}'}.get(kind)
            if metric:
                assert value == pytest.approx(finished['metrics'][metric], abs=1e-12)
    assert results['arms'][0]['latency']['settings']['proposals'] == 17, 'what the config hands on'
    ratio = results['arms'][0]['latency']['ratio']
    assert ratio['low'] <= ratio['median'] <= ratio['high']
    assert results['arms'][0]['differs_in'] == ['model.backbone.shift_stages', 'model.neck.shift_levels']
    row = next(line for line in out.splitlines() if line.startswith('| tsm '))
    assert f'| {ratio["median"]:.3f} [' in row
    page = (tmp_path / 'out' / 'table.md').read_text()
    assert row in page and page.startswith('# Comparison: tsm, 2d\n')
    (tmp_path / 'out' / 'tsm' / 'seed1' / 'found.pkl').unlink()
    status, out, err = run(f'compare --from {tmp_path}/out/tsm/seed1 {tmp_path}/out/2d/seed1 --baseline 2d --draws 20 '
                           f'--latency-frames 0 --out {tmp_path}/judged')
    assert status == 0, out + err
    judged = json.loads((tmp_path / 'judged' / 'results.json').read_text())
    assert judged['parts'] == results['parts']
    assert judged['arms'][0]['differs_in'] == results['arms'][0]['differs_in']


@pytest.mark.slow
def test_a_single_stage_detector_is_timed_with_the_weights_of_its_run(tmp_path):
    options = ('model.backbone.base_channels=8', 'model.neck.in_channels=8,16,32,64')
    runs = [Run(ArmConfig(name, config_path(config), options), 1, tmp_path / name / 'seed1', TOOLS)
            for name, config in (('tsm', 'tsm_retinanet_r18_synthvid'), ('2d', 'retinanet_r18_synthvid'))]
    runs[0].folder.mkdir(parents=True)
    model = build(runs[0].arm.load(1).model)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, runs[0].folder / 'iter_1.pth')
    (runs[0].folder / 'last_checkpoint').write_text('iter_1.pth')
    latency = measure_latency(*runs, tmp_path, frames=3)
    assert latency is not None, (tmp_path / 'tsm' / 'latency.log').read_text()
    assert 0 < latency['ratio']['low'] <= latency['ratio']['median'] <= latency['ratio']['high']


@pytest.mark.parametrize(('line', 'facts'), [
    ('--arm tsm none.py --baseline tsm', 'none.py'),
    (f'{ARMS} --baseline 2d --by distance', '--by distance'),
    ('--from nowhere --baseline 2d', 'nowhere'),
    (f'--results 2d {config_path("faster_rcnn_r18_synthvid")} none.pkl --baseline 2d', 'none.pkl')])
def test_wrong_arguments_get_one_sentence(run, tmp_path, line, facts):
    status, out, err = run(f'compare {line} --out {tmp_path}/out')
    last = err.strip().splitlines()[-1]
    assert status == 2 and 'error: ' in last and facts in last
    assert 'Traceback' not in out + err
