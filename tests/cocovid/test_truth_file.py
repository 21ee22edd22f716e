"""The file that detections are scored by: refused before anything is run, not after."""

import copy
import json

import pytest
from mmengine.config import Config

from tsm_det.cocovid.truth_file import read_truth
from tsm_det.errors import InputError
from tsm_det.evaluation.vid_metric import VIDMetric
from tsm_det.runner import check_data

TRUTH = {
    'images': [{'id': 0}, {'id': 4}],
    'annotations': [{'id': 0, 'image_id': 4, 'category_id': 1, 'bbox': [1, 2, 3, 4]}],
    'categories': [{'id': 1, 'name': 'bird'}]}


def broken(how):
    content = copy.deepcopy(TRUTH)
    how(content)
    return json.dumps(content)


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / 'truth.json').write_text(text)
        return str(tmp_path / 'truth.json')
    return write


@pytest.mark.parametrize('content', [TRUTH, {**TRUTH, 'annotations': []}])
def test_what_suffices_is_given_as_it_is(write, content):
    assert read_truth(write(json.dumps(content))) == {'videos': [], **content}


@pytest.mark.parametrize(('text', 'message'), [
    ('{', 'is not a CocoVID JSON file'), ('[]', 'is not a CocoVID JSON file'), ('{}', "KeyError: 'images'"),
    (broken(lambda c: c.update(images=[3])), 'is not a CocoVID JSON file'),
    (broken(lambda c: c['annotations'][0].update(bbox=[1, 2])), 'is not a CocoVID JSON file'),
    (broken(lambda c: c['annotations'][0].update(bbox=None)), 'is not a CocoVID JSON file'),
    (broken(lambda c: c['annotations'][0].pop('id')), r'annotations\[0\] has no id \(1 in all\)'),
    (broken(lambda c: c.update(videos=[{}])), r'videos\[0\] has no id'),
    (broken(lambda c: c['images'][1].pop('id')), r'images\[1\] has no id'),
    (broken(lambda c: c['categories'][0].pop('name')), r'categories\[0\] has no name'),
    (broken(lambda c: c['annotations'][0].update(image_id=77)), r'1 annotations of images .*annotation 0 of image 77')])
def test_what_could_not_be_scored_by_gets_a_sentence(write, text, message):
    with pytest.raises(InputError, match=message):
        read_truth(write(text))


def test_a_file_that_is_not_there_gets_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r'none.json cannot be read \(No such file or directory\): make it as'):
        read_truth(tmp_path / 'none.json')


@pytest.mark.parametrize('several', [False, True])
@pytest.mark.parametrize('named', ['VIDMetric', 'mmdet.VIDMetric', VIDMetric])
def test_a_run_checks_it_before_it_begins(write, named, several):
    path = write(broken(lambda c: c['annotations'][0].update(image_id=77)))
    evaluator = {'type': named, 'ann_file': path}
    config = Config({
        'custom_imports': {'imports': ['tsm_det'], 'allow_failed_imports': False},
        'test_dataloader': {'dataset': {'type': 'CocoVIDDataset', 'ann_file': path, 'pipeline': []}},
        'test_evaluator': [evaluator] if several else evaluator})
    with pytest.raises(InputError, match='annotations of images that are not in it'):
        check_data(config, 'test_dataloader')
