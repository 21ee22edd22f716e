"""The command lines, as a user types them, on a tiny synthetic data set."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import av
import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from tests.tiny import STEPS, TINY, build, tiny_like_the_tools, tiny_model_config
from tsm_det import config_path
from tsm_det.config import load_config
from tsm_det.datasets.synthetic_vid import make_synthetic_vid

ROOT = Path(__file__).parent.parent
SHARED = ('cli', 'command_line', 'converters', 'tool_options', 'video_options')
TOOLS = sorted(path.stem for path in (ROOT / 'tools').glob('*.py') if path.stem not in SHARED)


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthvid'
    make_synthetic_vid(root, train_videos=2, val_videos=2, frames_per_video=6)
    return root


def config(name='tsm_faster_rcnn_r18_synthvid'):
    return config_path(name)


@pytest.fixture
def trained(run, data_root, tmp_path):
    """A checkpoint that three steps of training on the tiny data set wrote."""
    status, out, err = run(f'train {config()} --work-dir {tmp_path}/work --cfg-options data_root={data_root} '
                           + TINY + STEPS)
    assert status == 0, out + err
    assert not noise(out + err)
    return str(tmp_path / 'work' / 'iter_3.pth')


def noise(printed):
    """Lines about internals of libraries."""
    words = ('OneDL', 'weights_only', 'will be deprecated', 'will not be computed', 'The prefix is')
    return [line for line in printed.splitlines() if any(word in line for word in words)]


@pytest.mark.parametrize('tool', TOOLS)
def test_every_tool_prints_help_that_begins_with_a_command(run, tool):
    status, out, _ = run(f'{tool} --help')
    assert status == 0
    assert out.splitlines()[0].startswith(f'usage: python tools/{tool}.py ')


@pytest.mark.parametrize('tool', TOOLS)
def test_a_tool_is_a_thin_shell(tool):
    assert len((ROOT / 'tools' / f'{tool}.py').read_text().splitlines()) <= 60


@pytest.mark.slow
def test_a_training_prints_a_summary_and_progress_and_keeps_the_config_in_its_log_file(run, data_root, tmp_path):
    status, out, err = run(f'train {config()} --work-dir {tmp_path}/work --cfg-options data_root={data_root} '
                           f'optim_wrapper.paramwise_cfg.norm_decay_mult=0 {TINY}{STEPS}')
    assert status == 0, out + err
    log, = (tmp_path / 'work').glob('*/*.log')
    kept, printed = log.read_text(), out + err
    for text in ('Config:\n', 'System environment:', 'optim_wrapper = ', 'paramwise_options -- backbone'):
        assert text in kept and text not in printed
    for fact in ('TSMFasterRCNN', f'{data_root}/train.json: 2 videos', '3 steps', 'disc, square', str(log)):
        assert fact in printed
    assert printed.count('Iter(train)') == kept.count('Iter(train)') == 3


@pytest.mark.slow
def test_training_then_testing_scores_every_frame(run, trained, data_root, tmp_path):
    status, out, err = run(f'test {config()} {trained} --work-dir {tmp_path}/test --metrics {tmp_path}/m.json '
                           f'--out {tmp_path}/found.pkl --show-dir {tmp_path}/shown '
                           f'--cfg-options data_root={data_root} {TINY}')
    assert status == 0, out + err
    metrics = json.loads((tmp_path / 'm.json').read_text())
    assert metrics['frames_scored'] == metrics['frames_total'] == 12
    assert set(metrics) >= {'coco/AP', 'coco/AP50', 'coco/AP50_clean', 'coco/AP50_degraded'}
    found = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    assert len(found) == 12
    assert not noise(out + err)
    assert found[0]['pred_instances']['bboxes'].shape[1] == 4
    shown = sorted((tmp_path / 'shown').rglob('*.jpg'))
    assert len(shown) == 12
    assert cv2.imread(str(shown[0])).shape == (128, 128, 3)


@pytest.mark.slow
def test_an_engine_scores_as_the_reference(run, trained, data_root, tmp_path):
    scores = []
    for engine in ('eager', 'fast'):
        status, out, err = run(f'test {config()} {trained} --engine {engine} --work-dir {tmp_path}/test --metrics '
                               f'{tmp_path}/m.json --cfg-options data_root={data_root} {TINY}')
        assert status == 0, out + err
        scores.append(json.loads((tmp_path / 'm.json').read_text()))
    assert scores[0] == pytest.approx(scores[1], abs=1e-5, nan_ok=True)


@pytest.mark.slow
def test_an_interrupted_training_goes_on_from_its_checkpoint(run, trained, data_root, tmp_path):
    steps = STEPS.replace('=3', '=5')
    status, out, err = run(f'train {config()} --work-dir {tmp_path}/work --resume --cfg-options data_root={data_root} '
                           f'load_from=long_gone.pth {TINY}{steps}')
    assert status == 0, out + err
    assert (tmp_path / 'work' / 'iter_5.pth').is_file()
    assert 'resumed epoch: 0, iter: 3' in out + err
    assert not noise(out + err)


@pytest.mark.parametrize(('last', 'fact'), [(None, 'no checkpoint was saved in {work}'), ('iter_7.pth', 'iter_7.pth')])
def test_ctrl_c_in_a_training_names_the_checkpoint_that_resume_continues_from(
        run, data_root, tmp_path, monkeypatch, last, fact):
    def interrupt(_):
        if last:
            (tmp_path / 'last_checkpoint').write_text(last)
        raise KeyboardInterrupt
    monkeypatch.setattr(Runner, 'train', interrupt)
    status, _, err = run(f'train {config()} --work-dir {tmp_path} --cfg-options data_root={data_root} {TINY}')
    assert status == 130
    assert fact.format(work=tmp_path) in err.splitlines()[-1] and '--resume' in err.splitlines()[-1]


@pytest.mark.slow
def test_importing_the_package_prints_nothing():
    process = subprocess.run([sys.executable, '-c', 'import tsm_det'], cwd=ROOT, capture_output=True, text=True)
    assert (process.returncode, process.stdout, process.stderr) == (0, '', '')


@pytest.mark.slow
def test_a_video_becomes_an_mp4_and_json_lines(run, trained, data_root, tmp_path):
    status, out, err = run(f'detect_video {config()} {trained} {data_root}/val/000.mp4 --out {tmp_path}/o.mp4 '
                           f'--json {tmp_path}/o.jsonl --score-thr 0 --cfg-options {TINY}')
    assert status == 0, out + err
    lines = [json.loads(line) for line in (tmp_path / 'o.jsonl').read_text().splitlines()]
    assert [line['frame_id'] for line in lines] == list(range(6))
    assert [line['reset'] for line in lines] == ['new', None, None, None, None, None]
    with av.open(str(tmp_path / 'o.mp4')) as video:
        assert sum(1 for _ in video.decode(video=0)) == 6


@pytest.mark.slow
@pytest.mark.parametrize('name', ['-', '/dev/stdout'])
def test_standard_output_holds_nothing_but_the_json_lines(run, trained, data_root, name):
    status, out, err = run(f'detect_video {config()} {trained} {data_root}/val/000.mp4 --json {name} --cfg-options '
                           f'{TINY}')
    assert status == 0, out + err
    assert [json.loads(line)['frame_id'] for line in out.splitlines()] == list(range(6))
    assert '6 frames' in err


@pytest.mark.slow
def test_the_benchmark_reports_both_arms_and_their_ratio(run, tmp_path):
    status, out, err = run(f'benchmark {config()} --baseline {config("faster_rcnn_r18_synthvid")} --size 64 64 '
                           f'--frames 6 --warmup 1 --json {tmp_path}/l.json --cfg-options {TINY}')
    assert status == 0, out + err
    report = json.loads((tmp_path / 'l.json').read_text())
    assert [arm['name'] for arm in report['arms']] == ['tsm', '2d']
    assert report['arms'][0]['state_bytes'] > report['arms'][1]['state_bytes'] == 0
    assert report['ratio']['low'] <= report['ratio']['median'] <= report['ratio']['high']


@pytest.mark.slow
def test_fine_tuning_starts_from_a_2d_checkpoint_with_other_classes(run, data_root, tmp_path):
    """mmdet's own Faster R-CNN with 7 classes: all but the classifier and the box regressor carry over."""
    init_default_scope('mmdet')
    plain = tiny_model_config()
    plain.roi_head.bbox_head.fc_out_channels = 256
    plain.type, plain.backbone.type, plain.neck.type = 'FasterRCNN', 'ResNet', 'FPN'
    plain.data_preprocessor.type, plain.roi_head.bbox_head.num_classes = 'DetDataPreprocessor', 7
    source = build(plain)
    torch.save({'state_dict': source.state_dict(), 'meta': {}}, tmp_path / 'coco.pth')
    status, out, err = run(
        f'train {config()} --work-dir {tmp_path}/work --cfg-options load_from={tmp_path}/coco.pth '
        f'data_root={data_root} optim_wrapper.optimizer.lr=0 param_scheduler.eta_max=1e-12 '
        f'optim_wrapper.optimizer.weight_decay=0 {TINY}{STEPS}')
    assert status == 0, out + err
    tuned = torch.load(tmp_path / 'work' / 'iter_3.pth', weights_only=False)['state_dict']
    other = [key for key, tensor in source.state_dict().items()
             if 'running' not in key and 'num_batches' not in key and tensor.shape == tuned[key].shape
             and not torch.allclose(tensor, tuned[key], atol=1e-6)]
    assert other == []
    new = {key for key, tensor in source.state_dict().items() if tensor.shape != tuned[key].shape}
    assert new == {f'roi_head.bbox_head.{layer}.{kind}'
                    for layer in ('fc_cls', 'fc_reg') for kind in ('weight', 'bias')}


@pytest.mark.parametrize(('line', 'message'), [
    ('train none.py', 'error: the config none.py is missing'),
    ('train {synth} --work-dir {tmp} --cfg-options data_root={data} model.roi_head.bbox_head.num_classes=3 ' + TINY,
     'the model has 3 classes but the training data has 4 (disc, square, triangle, star): set model.roi_head'),
    ('train {vid} --work-dir {tmp}', 'imagenet_vid_train.json is missing: tools/convert_dataset.py imagenet-vid and '
     'imagenet-det make it from ImageNet as data/README.md says; without that, python tools/train.py '
     'configs/tsm_faster_rcnn_r18_synthvid.py'),
    ('test {synth} none.pth --work-dir {tmp} --cfg-options data_root={data}', 'the checkpoint none.pth is missing'),
    ('test {synth} {broken} --work-dir {tmp} --cfg-options data_root={data}', 'broken.pth is not a file of torch.save'),
    ('test {synth} {other} --work-dir {tmp} --cfg-options data_root={data}', 'none fits the backbone'),
    ('train {synth} --work-dir {tmp} --cfg-options load_from=none.pth', 'the checkpoint none.pth is missing'),
    ('train {synth} --work-dir {tmp} --resume none.pth', 'the checkpoint none.pth is missing'),
    ('train {synth} --work-dir {half_written} --resume', 'last_checkpoint is empty'),
    ('train {synth} --work-dir {tmp} --resume --cfg-options load_from=none.pth', 'the checkpoint none.pth is missing'),
    ('train {synth} --work-dir {tmp} --resume README.md', 'the checkpoint README.md is not a file of torch.save'),
    ('train {synth} --work-dir {tmp} --cfg-options load_from=README.md', 'README.md is not a file of torch.save'),
    ('test {synth} {named} --work-dir {tmp} --cfg-options data_root={data} ' + TINY,
     'the checkpoint knows the classes star, disc, square, triangle but the test data has disc, square'),
    ('test {synth} {few} --work-dir {tmp} --cfg-options data_root={data} ' + TINY,
     'few.pth has 2 (disc, square)'),
    ('detect_video {synth} {few} {data}/val/000.mp4 --cfg-options ' + TINY, 'few.pth has 2 (disc, square)'),
    ('export_onnx {synth} {few} --size 128 128 --out {tmp}.onnx --cfg-options ' + TINY, 'few.pth has 2'),
    ('serve {synth} {few} --port 0 --cfg-options ' + TINY, 'few.pth has 2'),
    ('test {synth} none --work-dir {tmp} --cfg-options data_root={data} '
     'test_dataloader.dataset.metainfo.classes=[disc] ' + TINY, 'the test data has 1 (disc)'),
    ('train {synth} --work-dir {tmp} --cfg-options data_root={data} '
     'val_dataloader.dataset.metainfo.classes=[disc] ' + TINY, 'the validation data has 1 (disc)'),
    ('test {synth} none --work-dir {tmp} --cfg-options data_root={data} '
     'test_dataloader.dataset.metainfo.classes=disc ' + TINY, "write ('disc',)"),
    ('test {synth} none --out {broken}/x.pkl', 'x.pkl cannot be written'),
    ('test {synth} none --metrics {broken}/x.json', 'x.json cannot be written'),
    ('test {synth} none --tta', '--tta'),
    ('test {synth} none --out found.txt', '--out is found.txt but detections are written as .pkl'),
    ('test {synth} none --engine turbo --work-dir {tmp} --cfg-options data_root={data} ' + TINY, 'engine is turbo'),
    ('serve {synth} none --port 0 --engine turbo', 'engine is turbo'),
    ('detect_video {synth} none none.mp4', 'none.mp4'),
    ('detect_video {synth} none {data}/val/000.mp4 --engine turbo', 'engine is turbo'),
    ('detect_video {synth} none {data}/val/000.mp4 --max-gap -1', 'max_gap is -1'),
    ('detect_video {synth} none {data}/val/000.mp4 --stall-limit 0', '--stall-limit is 0'),
    ('detect_video {synth} none rtsp://u:secret@h/x rtsp://u:secret@h/x', 'rtsp://u@h/x is named twice'),
    ('detect_video {synth} none {broken}', 'broken.pth'),
    ('detect_video {synth} none {data}/val/000.mp4 --out video.avi', '--out is video.avi'),
    ('detect_video {base} none {data}/val/000.mp4', 'tsm_faster_rcnn_r50_fpn.py has no test_dataloader'),
    ('detect_video {synth} none {data}/val/000.mp4 --cfg-options x 0.05', "'x'"),
    ('train {synth} --work-dir {broken} --cfg-options data_root={data}', 'broken.pth cannot be written'),
    ('train {base}', 'tsm_faster_rcnn_r50_fpn.py has no train_dataloader'),
    ('train {synth} --launcher slurm --cfg-options data_root={data}', '--launcher slurm was given but srun did not'),
    ('train {synth} --work-dir {tmp} --cfg-options data_root={data} model.backbone.shift_div=0', 'shift_div is 0 but'),
    ('train {synth} --work-dir {tmp} --cfg-options data_root={data} train_dataloader.dataset.pipeline.0.num_frames=0',
     'num_frames is 0 but'),
    ('test {synth} none --work-dir {broken} --cfg-options data_root={data}', 'broken.pth cannot be written'),
    ('test {synth} none --show-dir {broken} --cfg-options data_root={data}', 'broken.pth cannot be written'),
    ('test {synth} none --work-dir {tmp} --cfg-options data_root={data} test_dataloader.batch_size=2 ' + TINY,
     'a stream id stands twice'),
    ('test {synth} none --cfg-options test_dataloader.dataset.pipeline.9.type=X', 'do not fit the config'),
    ('benchmark {synth} --baseline {base} none', 'tsm_faster_rcnn_r50_fpn.py has no test_dataloader'),
    ('export_onnx {synth} none --size 128 128 --out .', '.onnx'),
    ('convert_dataset synthvid --out {broken}/x', 'broken.pth/x cannot be written'),
])
def test_bad_input_gets_one_sentence_and_status_2(run, data_root, tmp_path, line, message):
    broken, other = tmp_path / 'broken.pth', tmp_path / 'other.pth'
    broken.write_bytes(b'not a checkpoint')
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, other)
    torch.save({'state_dict': tiny_like_the_tools().state_dict(),
                'meta': {'dataset_meta': {'classes': ('star', 'disc', 'square', 'triangle')}}}, tmp_path / 'named.pth')
    few = tmp_path / 'few.pth'
    torch.save({'state_dict': tiny_like_the_tools().state_dict(), 'meta': {'CLASSES': ('disc', 'square')}}, few)
    half_written = tmp_path / 'half_written'
    half_written.mkdir()
    (half_written / 'last_checkpoint').touch()
    status, out, err = run(line.format(
        vid=config('tsm_faster_rcnn_r50_vid'), base=config('_base_/tsm_faster_rcnn_r50_fpn'), synth=config(),
        tmp=tmp_path / 'work', data=data_root, broken=broken, other=other, named=tmp_path / 'named.pth', few=few,
        half_written=half_written))
    last = err.strip().splitlines()[-1]
    assert status == 2, out + err
    assert last.startswith('error: ')
    assert message in last
    assert 'Traceback' not in out + err


@pytest.mark.parametrize('line', [
    'detect_video {synth} none --stride 2 {data}/val/000.mp4 --score-thr 0.9 {data}/val/001.mp4',
    'detect_video --max-frames 3 {synth} none {data}/val/000.mp4 {data}/val/001.mp4'])
def test_options_may_stand_among_what_they_are_for(run, data_root, line):
    status, out, err = run(line.format(synth=config(), data=data_root))
    assert status == 0, out + err
    assert out.splitlines()[-1] .startswith('6 frames: nothing written')


def test_a_checkpoint_may_stand_behind_options(run):
    status, _, err = run(f'benchmark {config()} --frames 3 --baseline {config("faster_rcnn_r18_synthvid")} none.pth')
    assert status == 2
    assert err.strip().splitlines()[-1].startswith('error: the checkpoint none.pth is missing')


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='trains in float16 with CUDA')
def test_mixed_precision_trains_on_a_cpu(run, data_root, tmp_path):
    status, out, err = run(f'train {config()} --amp --work-dir {tmp_path} --cfg-options data_root={data_root} '
                           + TINY + STEPS)
    assert status == 0, out + err
    assert 'bfloat16' in out + err
    assert (tmp_path / 'iter_3.pth').is_file()


@pytest.mark.parametrize(('root', 'path', 'moved'), [
    ('data/foo', 'data/foo/a.json', '/new/a.json'), ('data/foo/', 'data/foo/a/', '/new/a/'),
    ('data/foo/', 'data/foo', '/new'), ('data/foo', 'data/foobar/a', 'data/foobar/a')])
def test_a_data_root_moves_whole_names_only(tmp_path, root, path, moved):
    (tmp_path / 'config.py').write_text(f'data_root = {root!r}\nfiles = [dict(path={path!r})]\n')
    assert load_config(str(tmp_path / 'config.py'), {'data_root': '/new'}).files[0].path == moved


@pytest.mark.slow
def test_a_file_that_a_worker_process_cannot_read_gets_one_sentence(run, data_root, tmp_path):
    shutil.copytree(data_root, tmp_path / 'data')
    for path in (tmp_path / 'data' / 'train').iterdir():
        path.write_bytes(path.read_bytes()[:300])
    status, out, err = run(f'train {config()} --work-dir {tmp_path}/work --cfg-options data_root={tmp_path}/data '
                           f'train_dataloader.num_workers=1 {TINY}{STEPS}')
    last = err.strip().splitlines()[-1]
    assert status == 2, out + err
    assert last.startswith(f'error: {tmp_path}/data/train/')


def test_a_data_root_moves_every_path_under_the_old_one(data_root):
    moved = load_config(config(), {'data_root': str(data_root)})
    assert Path(moved.test_evaluator.ann_file) == data_root / 'val.json'
    assert Path(moved.train_dataloader.dataset.data_root) == data_root
    untouched = Config.fromfile(config())
    assert moved.model == untouched.model
