"""Which clips are drawn, in which order, on which rank, and with which seed."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from mmdet.datasets import MultiImageMixDataset
from mmengine.registry import init_default_scope

from tests.cocovid.ilsvrc import write_tree
from tsm_det.cocovid.convert.imagenet_converter import convert_imagenet_det, convert_imagenet_vid
from tsm_det.datasets import key_frames
from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.datasets.imagenet_vid import ImageNetVIDDataset
from tsm_det.datasets.key_frames import KeyFrameSampler
from tsm_det.errors import InputError

PIPELINE = [
    dict(type='ConsecutiveFrames', num_frames=4),
    dict(type='TransformBroadcaster', share_random_params=True, transforms=[
        dict(type='LoadFrame'), dict(type='LoadTrackAnnotations'), dict(type='RandomFlip', prob=0.5)]),
    dict(type='PackTrackInputs')]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    init_default_scope('mmdet')
    root = write_tree(tmp_path_factory.mktemp('tree'))
    for convert in (convert_imagenet_vid, convert_imagenet_det):
        convert(root, root / 'annotations', workers=1)
    return root


def dataset(root, stills='annotations/imagenet_det_30classes.json', **keys):
    return ImageNetVIDDataset(
        ann_file='annotations/imagenet_vid_train.json', stills=stills, data_root=str(root),
        data_prefix=dict(img_path='Data/'), pipeline=PIPELINE, **keys)


def drawn(root, n, rank=0, world_size=1, skip=0, monkeypatch=None, seed=7, **keys):
    if monkeypatch:
        monkeypatch.setattr(key_frames, 'get_dist_info', lambda: (rank, world_size))
    sampler = KeyFrameSampler(dataset(root, **keys), seed=seed)
    sampler.skip(skip)
    return list(islice(sampler, n))


def test_an_epoch_has_every_key_frame_once_and_a_part_of_the_stills(root):
    sampler = KeyFrameSampler(dataset(root), seed=0)
    for number in range(9):
        clips = list(map(tuple, sampler.epoch(number)))
        assert sorted(clip for clip in clips if clip[0] < 3) == [(0, 0), (0, 3), (0, 9), (1, 2), (1, 7), (2, 5)]
        assert len(set(clips)) == len(clips) and len(clips) - 6 in (0, 1)


def test_a_still_of_t_frames_is_drawn_once_in_t_epochs(root):
    sampler = KeyFrameSampler(dataset(root), seed=0)
    for period in range(5):
        clips = np.concatenate([sampler.epoch(4 * period + part) for part in range(4)])
        assert Counter(video for video, _ in clips.tolist() if video >= 3) == {3: 1, 4: 1, 5: 1}


def test_a_still_becomes_a_clip_of_equal_frames(root):
    images = dataset(root)[(4, 0)]['inputs']
    assert len(images) == 4 and (images == images[0]).all()


def test_epochs_differ_in_order_and_follow_each_other_without_end(root):
    draws = drawn(root, 40, stills=None)
    epochs = [draws[start:start + 6] for start in range(0, 36, 6)]
    assert all(sorted(draw[:2] for draw in epoch) == sorted(draw[:2] for draw in epochs[0]) for epoch in epochs)
    assert len({tuple(draw[:2] for draw in epoch) for epoch in epochs}) > 3
    assert len({draw.seed for draw in draws}) == 40


@pytest.mark.parametrize('world_size', [2, 3])
def test_ranks_share_the_clips_that_one_process_would_take(root, monkeypatch, world_size):
    alone = drawn(root, 12 * world_size)
    shares = [drawn(root, 12, rank, world_size, monkeypatch=monkeypatch) for rank in range(world_size)]
    assert [draw for step in zip(*shares, strict=True) for draw in step] == alone


@pytest.mark.parametrize('world_size', [1, 2])
def test_skipping_goes_on_as_if_never_interrupted(root, monkeypatch, world_size):
    rank = world_size - 1
    whole = drawn(root, 30, rank, world_size, monkeypatch=monkeypatch)
    assert drawn(root, 20, rank, world_size, skip=10, monkeypatch=monkeypatch) == whole[10:]


def test_the_seed_decides_the_order(root):
    assert drawn(root, 20, seed=1) == drawn(root, 20, seed=1) != drawn(root, 20, seed=2)


def test_a_draw_gives_the_same_clip_whatever_was_drawn_before(root):
    videos = dataset(root)
    draws = drawn(root, 8)
    first = [videos[draw] for draw in draws]
    np.random.seed(99)
    others = dataset(root)
    again = [others[draw] for draw in reversed(draws)][::-1]
    for one, other in zip(first, again, strict=True):
        assert (one['inputs'] == other['inputs']).all()
    places = {(draw.video, videos[draw]['data_samples'][0].frame_id, bool(videos[draw]['data_samples'][0].flip))
              for draw in drawn(root, 60)}
    assert len({flip for *_, flip in places}) == 2 and len(places) > 12  # and yet clips vary


def test_clips_contain_their_key_frame(root):
    videos = dataset(root)
    for draw in drawn(root, 30):
        ids = [frame.frame_id for frame in videos[draw]['data_samples']]
        assert len(ids) == 4
        assert draw.frame in ids  # in these videos frame ids are places


def test_every_frame_is_a_key_frame_where_the_file_does_not_say(root):
    videos = CocoVIDDataset(ann_file=str(root / 'annotations/imagenet_vid_val.json'), pipeline=PIPELINE,
                            data_prefix=dict(img_path=str(root / 'Data')))
    assert len(KeyFrameSampler(videos, seed=0).epoch(0)) == 12


def test_a_file_without_key_frames_gets_one_sentence(root, tmp_path):
    content = json.loads((root / 'annotations/imagenet_vid_train.json').read_text())
    for image in content['images']:
        image['is_vid_train_frame'] = False
    (tmp_path / 'none.json').write_text(json.dumps(content))
    videos = CocoVIDDataset(ann_file=str(tmp_path / 'none.json'), pipeline=PIPELINE)
    with pytest.raises(InputError, match=r'none\.json.*is_vid_train_frame'):
        KeyFrameSampler(videos, seed=0)


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_by_epoch_the_ranks_share_each_epoch_and_end_together(root, monkeypatch, world_size):
    clips = dataset(root)
    for number in (0, 1, 5):
        shares = []
        for rank in range(world_size):
            monkeypatch.setattr(key_frames, 'get_dist_info', lambda rank=rank: (rank, world_size))
            sampler = KeyFrameSampler(clips, seed=7, by_epoch=True)
            sampler.set_epoch(number)
            shares.append(list(sampler))
            assert len(shares[-1]) == len(sampler)
        assert len({len(share) for share in shares}) == 1
        expected = sorted(map(tuple, sampler.epoch(number).tolist()))
        assert sorted({index[:2] for share in shares for index in share}) == expected


def test_without_by_epoch_the_epoch_changes_nothing(root):
    sampler = KeyFrameSampler(dataset(root), seed=7)
    sampler.set_epoch(3)
    assert list(islice(sampler, 20)) == drawn(root, 20)


def test_a_dataset_that_mixes_clips_is_refused(root):
    mixed = MultiImageMixDataset(dataset(root), [dict(type='Mosaic')])
    with pytest.raises(InputError, match='MultiImageMixDataset'):
        KeyFrameSampler(mixed, seed=0)
