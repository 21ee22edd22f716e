"""Clips through a config's own dataset, sampler and pipeline."""

import cv2
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.runner import Runner

from tsm_det.datasets import browsing
from tsm_det.datasets.browsing import browse
from tsm_det.errors import InputError
from tsm_det.png import rendered
from tsm_det.randomness import seeded


def box_at(frame_id):
    return 4 + 2 * frame_id, 10, 16, 12


@pytest.fixture
def moving(scene, tmp_path):
    """A config over two videos of 12 frames in which a white cat moves to the right, and a flip for its pipelines."""
    def moving(flip=0.5, seed=0, sampler='KeyFrameSampler'):
        config, _ = scene({name: {(number, 'cat'): {k: box_at(k) for k in range(12)}}
                           for number, name in enumerate(('a', 'b'), 1)}, frame_ids=range(12))
        for name in 'ab':
            (tmp_path / name).mkdir(exist_ok=True)
            for k in range(12):
                image = np.zeros((48, 64, 3), np.uint8)
                x, y, w, h = box_at(k)
                image[y:y + h, x:x + w] = 255
                cv2.imwrite(str(tmp_path / name / f'{k:03d}.png'), image)
        transforms = [dict(type='LoadFrame'), dict(type='LoadTrackAnnotations'), dict(type='RandomFlip', prob=flip)]
        frames = dict(type='TransformBroadcaster', share_random_params=True, transforms=transforms)
        dataset = {**config.test_dataloader.dataset, 'test_mode': False, 'pipeline': [
            dict(type='ConsecutiveFrames', num_frames=4), frames, dict(type='PackTrackInputs')]}
        loader = dict(batch_size=2, num_workers=0, sampler=dict(type=sampler), dataset=dataset)
        test_set = {**dataset, 'test_mode': True, 'pipeline': [frames, dict(type='PackTrackInputs')]}
        test_loader = dict(batch_size=1, num_workers=0, sampler=dict(type='TrackImgSampler'), dataset=test_set)
        return Config(dict(default_scope='mmdet', randomness=dict(seed=seed), train_dataloader=loader,
                           test_dataloader=test_loader))
    return moving


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn: (frames, samples) of each clip."""
    clips = []

    def record(frames, samples, classes):
        clips.append((torch.stack(list(frames)), list(samples)))
        return Figure((1, 1))
    monkeypatch.setattr(browsing, 'clip_figure', record)
    return clips


@pytest.mark.parametrize('flip', [0.0, 1.0])
def test_boxes_lie_on_the_objects_in_plain_and_in_flipped_clips(moving, monkeypatch, tmp_path, flip):
    figures = []
    monkeypatch.setattr(browsing, 'rendered', lambda figure: figures.append(figure) or rendered(figure))
    browse(moving(flip), tmp_path / 'out', clips=1)
    left = []
    for axis in figures[0].axes:
        rows, columns = np.nonzero((axis.images[0].get_array() > 200).all(axis=-1))
        x, y = np.add(axis.patches[0].get_xy(), 0.5)
        assert (x, y, x + axis.patches[0].get_width(), y + axis.patches[0].get_height()) == (
            columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        left.append(columns.min())
    assert np.diff(left).tolist() == [-2 if flip else 2] * 3


@pytest.mark.parametrize('place', [1, 2])
def test_boxes_lie_on_the_objects_of_enlarged_frames_wherever_annotations_are_read(moving, drawn, tmp_path, place):
    config = moving(flip=0.0)
    config.test_dataloader.dataset.pipeline[0].transforms.insert(place, dict(type='Resize', scale=(128, 96)))
    browse(config, tmp_path / 'out', 'test', clips=1)
    [(frames, samples)] = drawn
    assert frames.shape[-2:] == (96, 128)
    for frame, sample in zip(frames, samples, strict=True):
        rows, columns = np.nonzero((frame > 200).all(dim=0).numpy())
        [box] = sample.gt_instances.bboxes.tensor.tolist() if hasattr(
            sample.gt_instances.bboxes, 'tensor') else sample.gt_instances.bboxes.tolist()
        assert box == pytest.approx((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), abs=2)


@pytest.mark.parametrize('seed', [0, 5])
def test_clips_are_those_that_training_begins_with(moving, drawn, tmp_path, seed):
    config = moving(seed=seed)
    browse(config, tmp_path / 'out', clips=6)
    with seeded(99):
        batches = iter(Runner.build_dataloader(config.train_dataloader, seed=seed))
        taken = [clip for _ in range(3) for clip in next(batches)['inputs']]
    assert len(drawn) == 6
    for (frames, _), expected in zip(drawn, taken, strict=True):
        torch.testing.assert_close(frames, expected)


@pytest.mark.parametrize('clips', [2, 50])
def test_single_frames_of_test_time_are_shown_as_consecutive_frames_of_one_video(moving, drawn, tmp_path, clips):
    browse(moving(), tmp_path / 'out', 'test', clips)
    assert len(drawn) == min(clips, 4)
    for _, samples in drawn:
        assert len({sample.video_id for sample in samples}) == 1
        ids = [sample.frame_id for sample in samples]
        assert ids in (list(range(8)), list(range(8, 12)))


@pytest.mark.parametrize('sampler', ['KeyFrameSampler', 'TrackImgSampler'])
def test_a_seed_repeats_itself_and_another_draws_other_clips(moving, tmp_path, sampler):
    first, again, other = ([path.read_bytes() for path in browse(moving(sampler=sampler), tmp_path / name, seed=seed)]
                           for name, seed in (('1', 3), ('2', 3), ('3', 4)))
    assert first == again != other


@pytest.mark.parametrize('sampler', ['KeyFrameSampler', 'TrackImgSampler'])
def test_browsing_leaves_the_global_random_numbers_alone(moving, tmp_path, sampler):
    np.random.seed(1)
    expected = np.random.random(3)
    np.random.seed(1)
    browse(moving(sampler=sampler), tmp_path / 'out', clips=2)
    assert np.array_equal(np.random.random(3), expected)


@pytest.mark.parametrize(('arguments', 'message'), [
    (dict(clips=0), 'the number of clips is 0 but'), (dict(seed=-1), 'the seed is -1 but'),
    (dict(split='val'), 'the config has no val_dataloader')])
def test_arguments_that_fit_nothing_are_refused_in_a_sentence(moving, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        browse(moving(), tmp_path / 'out', **arguments)


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(moving, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='file cannot be written'):
        browse(moving(), tmp_path / 'file', clips=1)
