"""Which frames of a test belong to a subset."""

import json

import numpy as np
import pytest
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.registry import init_default_scope

from tsm_det.config import load_config, parse_options
from tsm_det.errors import InputError
from tsm_det.evaluation.subsets import check_bursts, subsets_of
from tsm_det.runner import check_data

BURSTS = dict(type='Bursts', transforms=[dict(type='SensorNoise', sigma=60)], length=3, gap=5, seed=4)
IMAGES = [dict(id=10 * video + frame, video_id=video, frame_id=frame, dark=frame > 6)
          for video in range(1, 6) for frame in range(20)]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def test_frames_are_chosen_by_their_fields():
    marks = subsets_of(IMAGES, {'dark': {'dark': True}, 'late': {'dark': True, 'frame_id': 19}}, None)
    assert [image['frame_id'] > 6 for image in IMAGES] == marks['dark'].tolist()
    assert [image['frame_id'] == 19 for image in IMAGES] == marks['late'].tolist()


def test_frames_of_bursts_are_those_that_the_pipeline_degrades():
    transform, grey = TRANSFORMS.build(BURSTS), np.full((8, 8, 3), 128, np.uint8)
    changed = [(transform({**image, 'img': grey})['img'] != grey).any() for image in IMAGES]
    marks = subsets_of(IMAGES, {}, BURSTS)
    assert marks['burst'].tolist() == changed and marks['between'].tolist() == [not mark for mark in changed]
    assert 0.3 < np.mean(changed) < 0.45


def test_bursts_without_a_seed_are_refused():
    with pytest.raises(InputError, match='seed'):
        subsets_of(IMAGES, {}, {**BURSTS, 'seed': None})


def test_stills_are_marked_as_the_pipeline_degrades_them(tmp_path):
    images = [dict(id=k, file_name=f'{k}.png', width=8, height=8, **({'frame_id': 0} if k % 2 else {}))
              for k in range(40)]
    truth = dict(images=images, annotations=[], categories=[dict(id=1, name='cat')])
    (tmp_path / 'stills.json').write_text(json.dumps(truth))
    data = DATASETS.build(dict(type='CocoVIDDataset', ann_file=str(tmp_path / 'stills.json'), pipeline=[]))
    transform, grey = TRANSFORMS.build(BURSTS), np.full((8, 8, 3), 128, np.uint8)
    frames = sorted((data.get_data_info(k)['images'][0] for k in range(len(data))), key=lambda frame: frame['img_id'])
    changed = [bool((transform({**frame, 'img': grey})['img'] != grey).any()) for frame in frames]
    assert subsets_of(images, {}, BURSTS)['burst'].tolist() == changed
    assert 5 < sum(changed) < 25


def steps(*bursts):
    """Those of a test pipeline with these bursts, each inside the one before."""
    inside = []
    for one in reversed(bursts):
        inside = [{**one, 'transforms': inside}]
    pipeline = [dict(type='TransformBroadcaster', transforms=inside)]
    return DATASETS.build(dict(type='CocoVIDDataset', ann_file='some.json', pipeline=pipeline, lazy_init=True)).steps


@pytest.mark.parametrize('change', [dict(length=4), dict(gap=4), dict(seed=5)])
def test_bursts_of_the_evaluator_are_those_of_the_pipeline_at_any_depth(change):
    other, key = {**BURSTS, **change}, next(iter(change))
    check_bursts(BURSTS, steps(BURSTS))
    check_bursts(BURSTS, steps(BURSTS, BURSTS))
    for stated, shown in ((other, [BURSTS]), (BURSTS, [other]), (BURSTS, [BURSTS, other])):
        with pytest.raises(InputError, match=f'{key}.* same'):
            check_bursts(stated, steps(*shown))


@pytest.mark.parametrize('shown', [[], [dict(type='RandomBursts', bursts=[dict(transforms=[], length=3, gap=5)])]])
def test_bursts_of_the_evaluator_need_those_of_the_pipeline(shown):
    data = DATASETS.build(dict(type='CocoVIDDataset', ann_file='some.json', pipeline=shown, lazy_init=True))
    with pytest.raises(InputError, match='length.* 3.* the test pipeline'):
        check_bursts(BURSTS, data.steps)


@pytest.mark.parametrize('option', [
    'test_evaluator.bursts.length=8', 'test_dataloader.dataset.pipeline.0.transforms.2.seed=3'])
def test_a_test_refuses_bursts_that_differ_before_it_begins(monkeypatch, tmp_path, option):
    path = tmp_path / 'none.json'
    path.write_text(json.dumps(dict(images=[dict(id=1, file_name='a.png', width=8, height=8)], annotations=[],
                                    categories=[dict(id=1, name='cat')])))
    files = [f'test_dataloader.dataset.ann_file={path}', f'test_evaluator.ann_file={path}']
    monkeypatch.setenv('TSM_DET_THERMAL', str(tmp_path))
    name = 'tsm_faster_rcnn_mobilenetv2_thermal_bursts'
    check_data(load_config(name, parse_options(files)), 'test_dataloader')
    with pytest.raises(InputError, match='bursts'):
        check_data(load_config(name, parse_options([*files, option])), 'test_dataloader')
