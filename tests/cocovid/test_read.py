"""CocoVID files are valid, or get one sentence before anything runs."""

import copy
import json

import pytest
from mmengine.config import Config

from tsm_det.cocovid.read import COCO, COCO_VID, SCORING, TRAINING, category_ids, check_records, read_coco_vid
from tsm_det.errors import InputError
from tsm_det.evaluation.vid_metric import VIDMetric
from tsm_det.runner import check_data

TRUTH = {
    'images': [{'id': 0}, {'id': 4}],
    'annotations': [{'id': 0, 'image_id': 4, 'category_id': 1, 'bbox': [1, 2, 3, 4]}],
    'categories': [{'id': 1, 'name': 'bird'}]}

WHOLE = {
    'videos': [{'id': 1, 'name': 'a'}],
    'images': [{'id': k, 'file_name': f'{k}.jpg', 'width': 64, 'height': 48, 'video_id': 1, 'frame_id': k,
                'frame_in_file': k} for k in (0, 1)],
    'annotations': [{'id': k, 'image_id': k, 'category_id': 1, 'bbox': [1, 2, 3, 4.5], 'area': 13.5, 'iscrowd': 0,
                     'video_id': 1, 'instance_id': 3} for k in (0, 1)],
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
    assert read_coco_vid(write(json.dumps(content))) == {'videos': [], **content}


@pytest.mark.parametrize(('text', 'message'), [
    ('{', 'JSON'), ('[]', 'list'), ('{}', 'list categories: is missing'),
    (broken(lambda c: c.update(images=[3])), 'image #0: is 3'),
    (broken(lambda c: c['annotations'][0].update(bbox=[1, 2])), r'annotation 0: bbox is \[1, 2\]'),
    (broken(lambda c: c['annotations'][0].update(bbox=None)), 'annotation 0: has no bbox'),
    (broken(lambda c: c['annotations'][0].pop('id')), r'problem 1 of 1: annotation #0: has no id'),
    (broken(lambda c: c.update(videos=[{}])), 'video #0: has no id'),
    (broken(lambda c: c['images'][1].pop('id')), 'problem 1 of 2: image #1: has no id'),
    (broken(lambda c: c['categories'][0].pop('name')), 'category 1: has no name'),
    (broken(lambda c: c['annotations'][0].update(image_id=77)), 'annotation 0: image_id 77'),
    (broken(lambda c: c['annotations'][0].update(category_id=9)), 'annotation 0: category_id 9'),
    (broken(lambda c: c['images'][0].update(id=4)), 'image 4: .* id of another'),
    (broken(lambda c: c['images'][0].update(video_id=1)), 'image 0: has a video_id but no frame_id')])
def test_a_problem_is_named_with_the_file(write, text, message):
    with pytest.raises(InputError, match=f'truth.json.*{message}'):
        read_coco_vid(write(text))


@pytest.mark.parametrize('what', ['images', 'annotations', 'categories'])
@pytest.mark.parametrize('schema', [COCO, SCORING, TRAINING, COCO_VID])
def test_each_key_of_a_schema_is_required(schema, what):
    for key in schema[what].split():
        content = copy.deepcopy(WHOLE)
        del content[what][0][key.removesuffix('?')]
        problems = check_records(content, schema)[1]
        assert key.endswith('?') or f'has no {key} ' in str(problems[0])


@pytest.mark.parametrize('schema', [COCO, SCORING, TRAINING, COCO_VID])
def test_a_whole_file_has_no_problem_and_all_its_records(schema):
    records, problems = check_records(WHOLE, schema)
    assert problems == []
    assert [list(records.images.values()), list(records.annotations.values())] == [
        WHOLE['images'], WHOLE['annotations']]


@pytest.mark.parametrize(('classes', 'ids'), [(None, {'bird': 4, 'ant': 2}), (('ant', 'bird'), {'ant': 2, 'bird': 4})])
def test_labels_follow_the_classes_or_the_file(classes, ids):
    categories = [{'id': 4, 'name': 'bird'}, {'id': 2, 'name': 'ant'}]
    assert list(category_ids(categories, classes, 'a.json').items()) == list(ids.items())
    with pytest.raises(InputError, match='a.json .*bee.*bird, ant'):
        category_ids(categories, ['bee'], 'a.json')


def test_a_missing_file_is_named_with_the_hint(tmp_path):
    with pytest.raises(InputError, match='none.json is missing: make it first'):
        read_coco_vid(tmp_path / 'none.json', hint='make it first')


@pytest.mark.parametrize('several', [False, True])
@pytest.mark.parametrize('named', ['VIDMetric', 'mmdet.VIDMetric', VIDMetric])
def test_a_run_checks_it_before_it_begins(write, named, several):
    path = write(broken(lambda c: c['annotations'][0].update(image_id=77)))
    evaluator = {'type': named, 'ann_file': path}
    config = Config({
        'custom_imports': {'imports': ['tsm_det'], 'allow_failed_imports': False},
        'test_dataloader': {'dataset': {'type': 'CocoVIDDataset', 'ann_file': path, 'pipeline': []}},
        'test_evaluator': [evaluator] if several else evaluator})
    with pytest.raises(InputError, match='image_id 77'):
        check_data(config, 'test_dataloader')


def test_a_run_refuses_clips_that_a_wrapper_mixes(write):
    dataset = {'type': 'CocoVIDDataset', 'ann_file': write(json.dumps(WHOLE)), 'pipeline': []}
    config = Config({
        'custom_imports': {'imports': ['tsm_det'], 'allow_failed_imports': False},
        'train_dataloader': {'sampler': {'type': 'DefaultSampler'},
                             'dataset': {'type': 'MultiImageMixDataset', 'dataset': dataset, 'pipeline': []}}})
    with pytest.raises(InputError, match='MultiImageMixDataset'):
        check_data(config, 'train_dataloader')


@pytest.mark.parametrize('name', ['../x.jpg', 'a/../../x.jpg', '/x.jpg', '..\\x.jpg', 'C:\\x.jpg', 'C:x.jpg', '\\x.jpg',
                                  '//host/x.jpg', 'a/..', 'x\0.jpg'])
@pytest.mark.parametrize('schema', [COCO, TRAINING, COCO_VID])
def test_a_file_name_stays_inside_the_folder_of_the_images(schema, name):
    content = copy.deepcopy(WHOLE)
    content['images'][0]['file_name'] = name
    problems = check_records(content, schema)[1]
    assert problems[0].kind == 'wrong file_name' and problems[0].id == 0


@pytest.mark.parametrize('name', ['x.jpg', 'a/b.mp4', 'a..b/x.jpg', '...jpg', './x.jpg', 'a b/ü.png', 'a\\b.jpg'])
def test_other_file_names_are_kept(name):
    content = copy.deepcopy(WHOLE)
    content['images'][0]['file_name'] = name
    assert check_records(content, COCO_VID)[1] == []


def test_a_backslash_in_a_file_name_is_a_separator(write):
    path = write(broken(lambda c: c['images'][0].update(file_name='a\\b\\1.jpg')))
    assert read_coco_vid(path)['images'][0]['file_name'] == 'a/b/1.jpg'
