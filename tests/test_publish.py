"""Published files hold weights, class names and config, and their metafile describes them."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from tests.tiny import TINY, tiny_like_the_tools
from tsm_det import config_path, publishing
from tsm_det.config import load_config, parse_options
from tsm_det.models.loading import build_detector, build_model

ROOT = Path(__file__).parent.parent
CLASSES = ('disc', 'square', 'triangle', 'star')
METRICS = {'coco/AP': 0.25, 'coco/AP50': 0.512345, 'coco/AP50_slow': None, 'coco/AP75': 0.1, 'fgfa/AP50': 0.6,
           'frames_scored': 12, 'frames_total': 12}


@pytest.fixture
def trained(tmp_path):
    """Checkpoint of a training, with a path of this machine in it."""
    content = {'state_dict': tiny_like_the_tools().state_dict(), 'optimizer': {'state': {0: torch.ones(5)}},
               'ema_state_dict': {'steps': torch.ones(3)}, 'message_hub': {'log': 'x'}, 'param_schedulers': [{}],
               'meta': {'dataset_meta': {'classes': CLASSES}, 'iter': 600, 'seed': 7, 'experiment_name': 'mine',
                        'cfg': f"work_dir = '{tmp_path}'"}}
    torch.save(content, tmp_path / 'iter_600.pth')
    (tmp_path / 'metrics.json').write_text(json.dumps(METRICS))
    return tmp_path / 'iter_600.pth'


@pytest.fixture
def publish(run, trained, tmp_path):
    """Run the tool: its status, the path printed last, and all output."""
    def publish(*words, checkpoint=trained, name='small', metrics=tmp_path / 'metrics.json', options=TINY):
        status, out, err = run(
            f'publish {checkpoint} --config {config_path("tsm_faster_rcnn_r18_synthvid")} --metrics {metrics} '
            f'--out {tmp_path}/published/{name}.pth {" ".join(words)} --cfg-options {options}')
        return status, Path(out.strip().splitlines()[-1]) if status == 0 else None, out + err
    return publish


def metafile(path):
    return yaml.safe_load(path.with_name('metafile.yml').read_text())


@pytest.mark.parametrize('half', [False, True])
def test_a_published_file_holds_only_weights_names_and_config(publish, tmp_path, half):
    status, path, err = publish(*['--half'] * half)
    assert status == 0, err
    content = torch.load(path, weights_only=True)
    assert content.keys() == {'state_dict', 'meta'}
    assert content['meta'].keys() == {'dataset_meta', 'iter', 'seed', 'cfg'}
    assert {weight.dtype for weight in content['state_dict'].values() if weight.is_floating_point()} == {
        torch.half if half else torch.float}
    text = content['meta']['cfg']
    assert 'TSMFasterRCNN' in text and 'base_channels=8' in text
    assert str(tmp_path) not in text and str(ROOT) not in text and 'data/' not in text
    assert tmp_path.name.encode() not in path.read_bytes()


@pytest.mark.parametrize('half', [False, True])
def test_it_loads_as_single_precision_without_a_warning(publish, trained, half, capfd, recwarn):
    _, path, _ = publish(*['--half'] * half)
    options = dict(word.split('=') for word in TINY.split())
    options['model.neck.in_channels'] = [8, 16, 32, 64]
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'), {
        key: value if isinstance(value, list) else int(value) for key, value in options.items()})
    capfd.readouterr()
    recwarn.clear()
    detector = build_detector(config, str(path))
    assert 'weights_only' not in ''.join(capfd.readouterr())
    assert [str(warning.message) for warning in recwarn] == []
    assert detector.dataset_meta['classes'] == CLASSES
    original = torch.load(trained)['state_dict']
    for key, weight in detector.state_dict().items():
        assert weight.dtype == original[key].dtype
        expected = original[key].half().to(weight.dtype) if half and weight.is_floating_point() else original[key]
        assert torch.equal(weight, expected)


def test_the_hash_in_the_name_is_the_files(publish):
    _, path, _ = publish()
    assert re.fullmatch(r'small-[0-9a-f]{8}\.pth', path.name)
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem.split('-')[1])
    assert [other.name for other in path.parent.iterdir() if other.name not in (path.name, 'metafile.yml')] == []


def test_the_metafile_describes_it(publish):
    _, path, _ = publish('--half')
    content = metafile(path)
    assert [collection['Name'] for collection in content['Collections']] == ['TSM Faster R-CNN']
    model, = content['Models']
    assert (model['Name'], model['In Collection'], (ROOT / model['Config']).name) == (
        'small', 'TSM Faster R-CNN', 'tsm_faster_rcnn_r18_synthvid.py')
    assert Path(model['Weights']).resolve() == path.resolve()
    assert model['Metadata'].items() >= {
        'Training Data': 'synthvid/train.json', 'Iterations': 600, 'Seed': 7, 'Precision': 'float16',
        'Parameters': sum(parameter.numel() for parameter in tiny_like_the_tools().parameters()),
        'Classes': list(CLASSES), 'File Size (MB)': round(path.stat().st_size / 1e6, 2)}.items()
    assert model['Results'] == [{'Task': 'Video Object Detection', 'Dataset': 'synthvid/val.json', 'Metrics': {
        'coco/AP': 0.25, 'coco/AP50': 0.5123, 'frames_scored': 12}}]


def save(config, path):
    torch.save({'state_dict': build_model(config).state_dict(), 'meta': {'dataset_meta': {'classes': CLASSES}}}, path)


def test_a_collection_names_the_networks_of_all_its_models(publish, tmp_path):
    options = f'{TINY} model.neck.type=TSMPAFPN'
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'), parse_options(options.split()))
    save(config, tmp_path / 'pafpn.pth')
    for _ in range(2):
        publish('--half')
        _, path, _ = publish('--half', checkpoint=tmp_path / 'pafpn.pth', name='pafpn', options=options)
    collection, = metafile(path)['Collections']
    assert sorted(collection['Metadata']['Architecture']) == [
        'FPN', 'Faster R-CNN', 'PAFPN', 'ResNet', 'Temporal Shift Module']
    assert len(metafile(path)['Models']) == 2


def test_an_operator_has_a_collection_without_the_papers_of_the_shift(publish, tmp_path):
    options = f'{TINY} model.backbone.operator=gate'
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'), parse_options(options.split()))
    save(config, tmp_path / 'gate.pth')
    _, path, _ = publish('--half', checkpoint=tmp_path / 'gate.pth', options=options)
    collection, = metafile(path)['Collections']
    assert collection == {'Name': 'Faster R-CNN with gate', 'Metadata': {
        'Architecture': ['Faster R-CNN', 'ResNet', 'FPN', 'operator gate']}}


def test_published_again_it_is_the_same_file_with_the_new_metrics(publish, tmp_path):
    _, path, _ = publish('--half')
    _, other, _ = publish(name='another')
    before = path.read_bytes()
    (tmp_path / 'new.json').write_text(json.dumps(METRICS | {'coco/AP50': 0.5}))
    _, again, _ = publish(checkpoint=path, metrics=tmp_path / 'new.json')
    assert (again, again.read_bytes()) == (path, before)
    models = metafile(path)['Models']
    assert [model['Name'] for model in models] == ['another', 'small']
    assert [model['Results'][0]['Metrics']['coco/AP50'] for model in models] == [0.5123, 0.5]
    assert [model['Metadata']['Precision'] for model in models] == ['float32', 'float16']
    assert Path(models[0]['Weights']).name == other.name


def test_an_older_file_of_the_same_name_is_reported(publish, tmp_path):
    _, old, _ = publish()
    status, _, printed = publish('--half')
    assert status == 0
    assert str(old) in printed
    assert len(list((tmp_path / 'published').glob('small-*.pth'))) == 2


def refused(result):
    status, _, err = result
    assert status == 2
    assert 'Traceback' not in err
    return err.strip().splitlines()[-1]


def test_a_large_file_is_refused(publish, tmp_path, monkeypatch):
    monkeypatch.setattr(publishing, 'LARGEST_MB', 0.5)
    assert re.search(r'iter_600\.pth .*\d\.\d MB .* 0\.5 MB.*--half', refused(publish()))
    assert not (tmp_path / 'published').exists()


@pytest.mark.parametrize('out', ['.', 'weights', 'weights.onnx'])
def test_only_pth_files_are_written(run, trained, tmp_path, out):
    message = refused(run(f'publish {trained} --config {config_path("tsm_faster_rcnn_r18_synthvid")} --out {out} '
                          f'--metrics {tmp_path}/metrics.json'))
    assert f'--out is {out} ' in message and '.pth' in message


def test_more_than_the_total_size_is_refused(publish, monkeypatch):
    _, path, _ = publish()
    monkeypatch.setattr(publishing, 'ALL_MB', 1.5 * path.stat().st_size / 1e6)
    before = path.with_name('metafile.yml').read_text()
    assert f'{publishing.ALL_MB} MB' in refused(publish(name='another'))
    assert path.with_name('metafile.yml').read_text() == before
    assert publish()[0] == 0  # replaces itself


def test_weights_beyond_half_precision_are_refused(publish, trained):
    content = torch.load(trained)
    content['state_dict']['rpn_head.rpn_cls.bias'][0] = 1e6
    torch.save(content, trained)
    assert re.search('rpn_head.rpn_cls.bias .*--half', refused(publish('--half')))


@pytest.mark.parametrize('text', ['', '[1]', '{}'])
def test_a_wrong_metrics_file_is_refused(publish, tmp_path, text):
    (tmp_path / 'wrong.json').write_text(text)
    assert 'wrong.json' in refused(publish(metrics=tmp_path / 'wrong.json'))


def test_a_checkpoint_of_another_network_is_refused(publish):
    assert 'iter_600.pth' in refused(publish(options='model.backbone.base_channels=32'))


@pytest.mark.parametrize('text', ['Models: [1]', 'a: [', '- x', 'Collections: [{Name: TSM Faster R-CNN}]'])
def test_a_wrong_metafile_is_refused_and_kept(publish, tmp_path, text):
    (tmp_path / 'published').mkdir()
    (tmp_path / 'published' / 'metafile.yml').write_text(text)
    assert 'metafile.yml' in refused(publish())
    assert (tmp_path / 'published' / 'metafile.yml').read_text() == text


@pytest.mark.skipif(not (ROOT / '.git').exists(), reason='not a git clone')
def test_git_does_not_ignore_published_files():
    for name in ('metafile.yml', 'tsm-01234567.pth'):
        status = subprocess.run(['git', 'check-ignore', '-q', f'data/checkpoints/{name}'], cwd=ROOT, check=False)
        assert status.returncode == 1


def test_other_names_than_the_head_has_classes_are_refused(publish, trained):
    content = torch.load(trained)
    content['meta'] = {'CLASSES': CLASSES[:2]}
    torch.save(content, trained)
    assert re.search(r'4 .*has 2 \(disc, square\)', refused(publish()))
