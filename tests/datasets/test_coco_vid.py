"""Reading CocoVID files."""

import json
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from mmdet.registry import DATASETS

from tests.tiny import init_default_scope
from tsm_det.datasets.coco_vid import refuse_mixing
from tsm_det.errors import InputError
from tsm_det.video import decord_file
from tsm_det.video.decord_file import DecordFile
from tsm_det.video.video_file import VideoFile


def coco_vid(frame_ids=(0, 1, 2), boxes_on=(0,), **image_fields):
    images = [dict(id=10 + i, file_name=f'{k:06d}.png', width=64, height=48, video_id=1, frame_id=k, **image_fields)
              for i, k in enumerate(frame_ids)]
    annotations = [dict(id=1 + n, image_id=10 + i, video_id=1, category_id=2, instance_id=1, bbox=[4, 4, 20, 20],
                        area=400, iscrowd=0) for n, i in enumerate(boxes_on)]
    return dict(videos=[dict(id=1, name='first', width=64, height=48)], images=images, annotations=annotations,
                categories=[dict(id=1, name='cat'), dict(id=2, name='dog')])


@pytest.fixture
def load(tmp_path):
    def load(content, **keys):
        init_default_scope('mmdet')
        path = tmp_path / 'annotations.json'
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return DATASETS.build(dict(type='CocoVIDDataset', ann_file=str(path), **{'pipeline': [], **keys}))
    return load


@pytest.mark.parametrize('test_mode', [False, True])
def test_frames_come_in_order_of_time_and_without_holes(load, test_mode):
    dataset = load(coco_vid(frame_ids=(7, 2, 5), boxes_on=(1,)), test_mode=test_mode)
    frames = dataset.get_data_info(0)['images']
    assert [frame['frame_id'] for frame in frames] == [2, 5, 7]
    assert [len(frame['instances']) for frame in frames] == [1, 0, 0]


def test_a_frame_id_that_stands_twice_is_refused(load):
    with pytest.raises(InputError, match='image 12: frame_id 3 of video 1 .*image 10'):
        load(coco_vid(frame_ids=(3, 1, 3)))


@pytest.mark.parametrize(('classes', 'label'), [(None, 1), (('cat', 'dog'), 1), (('dog', 'cat'), 0), (('dog',), 0)])
def test_labels_follow_the_classes_that_were_asked_for(load, classes, label):
    dataset = load(coco_vid(), metainfo=dict(classes=classes))
    assert dataset.get_data_info(0)['images'][0]['instances'][0]['bbox_label'] == label
    assert dataset.metainfo['classes'] == (classes or ('cat', 'dog'))


def test_an_unknown_class_is_refused(load):
    with pytest.raises(InputError, match='bird.*cat, dog'):
        load(coco_vid(), metainfo=dict(classes=('bird',)))


def test_all_frames_have_the_same_keys_whatever_optional_fields_they_have(load):
    content = coco_vid()
    content['images'][1]['comment'] = 'blurred'
    frames = load(content).get_data_info(0)['images']
    assert len({frozenset(frame) for frame in frames}) == 1


def test_an_image_without_a_video_is_a_video_of_its_own(load):
    content = coco_vid()
    for image in content['images']:
        del image['video_id'], image['frame_id']
    dataset = load(content)
    assert [video['video_length'] for video in dataset] == [1, 1, 1]


def test_a_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match='none.json is missing: make it first'):
        DATASETS.build(dict(type='CocoVIDDataset', ann_file=str(tmp_path / 'none.json'), hint='make it first'))


@pytest.mark.parametrize(('part', 'key'), [
    ('images', 'width'), ('images', 'file_name'), ('annotations', 'area'), ('annotations', 'bbox'),
    ('annotations', 'image_id'), ('categories', 'name'), ('videos', 'id')])
def test_a_missing_key_is_named_with_its_record(load, part, key):
    content = coco_vid()
    del content[part][0][key]
    with pytest.raises(InputError, match=f'annotations.json.* has no {key}'):
        load(content)


def test_a_video_id_of_null_is_none(load):
    content = coco_vid()
    for image in content['images']:
        image['video_id'] = None
    assert len(load(content)) == 3


@pytest.mark.parametrize(('reader', 'used'), [(None, DecordFile), ('decord', DecordFile), ('pyav', VideoFile)])
def test_the_reader_of_a_data_set_goes_before_its_pipelines(load, tmp_path, video_file, monkeypatch, reader, used):
    monkeypatch.setitem(sys.modules, 'decord', SimpleNamespace())
    monkeypatch.setattr(decord_file, 'picture_doubt', lambda _: None)
    monkeypatch.setattr(DecordFile, '_image', VideoFile._image)
    content = coco_vid()
    for k, image in enumerate(content['images']):
        image.update(file_name=video_file(n=3, g='1').name, frame_in_file=k)
    pipeline = [{'type': 'UniformRefFrameSample', 'num_ref_imgs': 0}, {
        'type': 'TransformBroadcaster', 'transforms': [{'type': 'LoadFrame', 'reader': 'decord'}]}]
    dataset = load(content, data_prefix={'img_path': str(tmp_path)}, pipeline=pipeline, reader=reader)
    dataset[0]
    assert type(dataset.pipeline.transforms[1].transforms.transforms[0]._video) is used


def test_an_unknown_reader_is_refused(load):
    with pytest.raises(InputError, match=r"'cv2'.*pyav, decord"):
        load(coco_vid(), reader='cv2')


@pytest.mark.parametrize('segments', [1, 2])
def test_segments_that_the_pipeline_does_not_pass_on_are_refused(load, segments):
    pipeline = [dict(type='SegmentedFrames', num_frames=4, segments=segments, distance=8),
                dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrame')]), dict(type='PackTrackInputs')]
    with pytest.raises(InputError, match='meta_keys') if segments > 1 else nullcontext():
        load(coco_vid(), pipeline=pipeline)
    pipeline[-1]['meta_keys'] = ('segment',)
    load(coco_vid(), pipeline=pipeline)


@pytest.mark.parametrize('mixing', ['Mosaic', 'MixUp', 'CachedMosaic', 'CachedMixUp', 'CopyPaste'])
@pytest.mark.parametrize('around', [
    lambda step: step,
    lambda step: dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrame'), step]),
    lambda step: dict(type='RandomApply', transforms=[step]),
    lambda step: dict(type='RandomChoice', transforms=[[dict(type='LoadFrame')], [step]])],
    ids=['alone', 'broadcast', 'applied', 'chosen'])
def test_a_pipeline_that_mixes_images_is_refused(load, mixing, around):
    with pytest.raises(InputError, match=rf'annotations\.json has {mixing},'):
        load(coco_vid(), pipeline=[around(dict(type=mixing))], lazy_init=True)


def mixed(dataset):
    return dict(type='MultiImageMixDataset', pipeline=[], dataset=dataset)


def repeated(dataset):
    return dict(type='RepeatDataset', times=2, dataset=dataset)


@pytest.mark.parametrize('around', [mixed, lambda clips: mixed(repeated(clips)), lambda clips: repeated(mixed(clips))])
def test_a_wrapper_that_mixes_clips_is_refused_with_any_sampler(load, around):
    with pytest.raises(InputError, match='MultiImageMixDataset .* CocoVIDDataset'):
        refuse_mixing(DATASETS.build(around(load(coco_vid()))))


def test_a_wrapper_that_mixes_nothing_is_accepted(load):
    refuse_mixing(DATASETS.build(repeated(load(coco_vid()))))


def test_crowds_become_ignored_instances_of_the_clip(load, tmp_path):
    content = coco_vid(boxes_on=(0, 0, 1))
    content['annotations'][1].update(iscrowd=1, bbox=[30, 4, 20, 20])
    dataset = load(content, pipeline=[
        dict(type='ConsecutiveFrames', num_frames=3),
        dict(type='TransformBroadcaster', transforms=[dict(type='LoadTrackAnnotations')]),
        dict(type='PackTrackInputs')])
    frames = dataset[0, 0]['data_samples'].video_data_samples
    assert [len(frame.gt_instances) for frame in frames] == [1, 1, 0]
    assert [frame.ignored_instances.bboxes.tolist() for frame in frames] == [[[30, 4, 50, 24]], [], []]
    assert dataset.num_ignored == 1
