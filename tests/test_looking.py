"""The command lines that draw data and results, as a user types them."""

import json
from pathlib import Path

import cv2
import pytest
import torch
from mmengine import dump, load

from tests.tiny import TINY
from tsm_det import config_path
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.evaluation.score_averaging import average_scores
from tsm_det.locks import locked

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthvid'
    make_synthetic_vid(root, train_videos=2, val_videos=2, frames_per_video=6)
    return root


@pytest.fixture
def results(data_root, tmp_path):
    """Every box of the validation set found, but those of its last frame."""
    truth = json.loads((data_root / 'val.json').read_text())
    frames = []
    for image in truth['images']:
        boxes = [box for box in truth['annotations'] if box['image_id'] == image['id'] and image['id'] < 12]
        corners = [[x, y, x + w, y + h] for x, y, w, h in (box['bbox'] for box in boxes)]
        frames.append(dict(img_id=image['id'], img_path=f'moved/{image["file_name"]}', video_id=image['video_id'],
                           pred_instances=dict(
                               bboxes=torch.tensor(corners, dtype=torch.float).reshape(-1, 4),
                               scores=torch.full((len(boxes),), 0.9),
                               labels=torch.tensor([box['category_id'] - 1 for box in boxes]).long())))
    dump(frames, str(tmp_path / 'results.pkl'))
    return tmp_path / 'results.pkl'


def synth():
    return config_path('tsm_faster_rcnn_r18_synthvid')


@pytest.mark.parametrize(('split', 'clips'), [('train', 3), ('val', 2), ('test', 2)])
def test_browsing_writes_sheets_and_prints_their_paths(run, data_root, tmp_path, split, clips):
    status, out, err = run(f'browse_dataset {synth()} --out {tmp_path}/sheets --split {split} --clips {clips} '
                           f'--seed 1 --cfg-options data_root={data_root}')
    assert status == 0, out + err
    written = sorted((tmp_path / 'sheets').iterdir())
    assert [str(path) for path in written] == [line for line in out.splitlines() if line.endswith('.png')]
    assert written
    for path in written:
        height, width, _ = cv2.imread(str(path)).shape
        assert 300 < height <= 2400
        assert 600 < width <= 2400


def test_plotting_writes_pictures_and_prints_their_paths(run, data_root, results, tmp_path):
    status, out, err = run(f'plot_results {synth()} {results} --out {tmp_path}/plots '
                           f'--cfg-options data_root={data_root}')
    assert status == 0, out + err
    names = ['precision_recall_by_class.png', 'precision_recall_by_motion.png', 'misses_01.png']
    assert [line for line in out.splitlines() if line.endswith('.png')] == [f'{tmp_path}/plots/{n}' for n in names]
    assert sorted(path.name for path in (tmp_path / 'plots').iterdir()) == sorted(names)
    assert all(min(cv2.imread(f'{tmp_path}/plots/{name}').shape[:2]) > 200 for name in names)
    assert '100.0% of these' in out + err


def test_averaged_scores_can_be_plotted(run, data_root, results, tmp_path):
    line = f'plot_results {synth()} {results} --out {tmp_path}/plots --cfg-options data_root={data_root}'
    status, out, err = run(f'{line} --average-scores 4')
    assert status == 0, out + err
    assert run(f'{line} --average-scores 0')[0] == 2


def test_a_test_with_averaged_scores_writes_what_averaging_its_results_gives(run, data_root, tmp_path):
    options = f'--work-dir {tmp_path}/work --cfg-options data_root={data_root} {TINY}'
    for name, average in (('plain', ''), ('averaged', '--average-scores 4')):
        status, out, err = run(f'test {synth()} none {average} --out {tmp_path}/{name}.pkl {options}')
        assert status == 0, out + err
    plain, averaged = (load(f'{tmp_path}/{name}.pkl') for name in ('plain', 'averaged'))
    for one, other in zip(average_scores(plain, 4, 4), averaged, strict=True):
        assert torch.equal(one['pred_instances']['scores'], other['pred_instances']['scores'])


def test_without_tracks_the_picture_by_motion_is_left_out_with_a_reason(run, data_root, results, tmp_path):
    truth = json.loads((data_root / 'val.json').read_text())
    for box in truth['annotations']:
        del box['instance_id']
    (tmp_path / 'trackless.json').write_text(json.dumps(truth))
    status, out, err = run(f'plot_results {synth()} {results} --out {tmp_path}/plots --cfg-options '
                           f'data_root={data_root} test_evaluator.ann_file={tmp_path}/trackless.json')
    assert status == 0, out + err
    assert 'no curves by motion' in out + err
    assert {path.name for path in (tmp_path / 'plots').iterdir()} == {'precision_recall_by_class.png', 'misses_01.png'}


@pytest.mark.parametrize('line', ['browse_dataset {synth} --clips 1', 'plot_results {synth} {results}'])
def test_a_folder_that_another_run_writes_into_is_refused(run, data_root, results, tmp_path, line):
    (tmp_path / 'o').mkdir()
    with locked(tmp_path / 'o'):
        status, out, err = run(line.format(synth=synth(), results=results)
                               + f' --out {tmp_path}/o --cfg-options data_root={data_root}')
    assert status == 2, out + err
    assert f'{tmp_path}/o' in err.splitlines()[-1]
    assert not list((tmp_path / 'o').iterdir())


@pytest.mark.parametrize(('line', 'message'), [
    ('browse_dataset none.py', 'the config none.py is missing'),
    ('browse_dataset {vid} --out {tmp}/o', 'imagenet_vid_train.json is missing'),
    ('browse_dataset {synth} --out {results} --cfg-options data_root={data}', 'results.pkl cannot be written'),
    ('browse_dataset {synth} --clips 0 --cfg-options data_root={data}', 'the number of clips is 0'),
    ('plot_results {synth} none.pkl --out {tmp}/o --cfg-options data_root={data}', 'none.pkl'),
    ('plot_results {synth} {data}/val.json --out {tmp}/o --cfg-options data_root={data}', 'val.json'),
    ('plot_results {synth} {results} --out {results} --cfg-options data_root={data}', 'results.pkl is an input'),
    ('plot_results {synth} {results} --out {tmp}/o --cfg-options data_root={data} '
     'test_evaluator.ann_file={data}/train.json', 'train.json'),
    ('plot_results {vid} {results} --out {tmp}/o', 'data/ILSVRC/annotations/'),
])
def test_bad_input_gets_one_sentence_and_status_2(run, data_root, results, tmp_path, line, message):
    status, out, err = run(line.format(vid=config_path('tsm_faster_rcnn_r50_vid'), synth=synth(), data=data_root,
                                       results=results, tmp=tmp_path))
    last = err.strip().splitlines()[-1]
    assert status == 2, out + err
    assert last.startswith('error: ')
    assert message in last
    assert 'Traceback' not in out + err
    assert not (tmp_path / 'o').exists()
