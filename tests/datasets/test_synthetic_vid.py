"""The made-up data set: its files, its boxes, its bad frames."""

import itertools
import json
from collections import Counter
from dataclasses import replace

import av
import numpy as np
import pytest

from tsm_det.datasets import synthetic_vid
from tsm_det.datasets.synthetic_scene import DEGRADATIONS, SHAPES, make_scene
from tsm_det.datasets.synthetic_vid import annotate, make_synthetic_vid, plan_scene
from tsm_det.errors import InputError

TINY = {'train_videos': 2, 'val_videos': 1, 'frames_per_video': 12, 'size': (64, 96)}
SPLITS = ('train', 'val')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('made') / 'synthetic'
    make_synthetic_vid(folder, **TINY)
    return folder


@pytest.fixture(scope='module')
def contents(root):
    return [json.loads((root / f'{split}.json').read_text()) for split in SPLITS]


@pytest.fixture(scope='module')
def scenes():
    return [plan_scene((0, 0, number), 48, (128, 128)) for number in range(48)]


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)])


def test_the_same_seed_makes_the_same_files(tmp_path):
    once, again = tmp_path / 'once', tmp_path / 'again'
    for folder in (once, again):  # of the size that is trained on: x264 is not exact in smaller pictures
        make_synthetic_vid(folder, **{**TINY, 'size': (128, 128)})
    names = [path.relative_to(once) for path in sorted(once.rglob('*.*'))]
    assert len(names) == 5
    for name in names:
        assert (once / name).read_bytes() == (again / name).read_bytes(), name


def test_another_seed_and_another_split_show_other_scenes(root, tmp_path):
    make_synthetic_vid(tmp_path / 'other', seed=1, **TINY)
    videos = [decode(path) for path in
              (root / 'train/000.mp4', root / 'train/001.mp4', root / 'val/000.mp4', tmp_path / 'other/train/000.mp4')]
    for index, video in enumerate(videos):
        for other in videos[:index]:
            assert np.abs(video[0].astype(int) - other[0]).mean() > 10


def test_every_frame_of_a_video_is_listed_once_and_in_order(root, contents):
    for content in contents:
        for video in content['videos']:
            images = [image for image in content['images'] if image['video_id'] == video['id']]
            assert decode(root / images[0]['file_name']).shape == (len(images), video['height'], video['width'], 3)
            assert [image['frame_id'] for image in images] == list(range(TINY['frames_per_video']))
            assert [image['frame_in_file'] for image in images] == [image['frame_id'] for image in images]
            assert {image['file_name'] for image in images} == {video['name']}


def test_a_decoded_frame_is_the_frame_that_was_drawn(root):
    scene = plan_scene((0, 1, 0), TINY['frames_per_video'], TINY['size'])
    video = decode(root / 'val/000.mp4')
    for frame_id in (0, 2):  # clean ones, which the codec keeps well
        assert np.abs(video[frame_id].astype(int) - scene.frame(frame_id)).mean() < 8


def test_boxes_lie_in_the_frame_and_tracks_keep_class_and_video(contents):
    height, width = TINY['size']
    for content in contents:
        assert [category['name'] for category in content['categories']] == [shape.name for shape in SHAPES]
        video_of = {image['id']: image['video_id'] for image in content['images']}
        tracks = {}
        for annotation in content['annotations']:
            x, y, w, h = annotation['bbox']
            assert 0 <= x < x + w <= width and 0 <= y < y + h <= height and annotation['area'] == w * h
            assert annotation['video_id'] == video_of[annotation['image_id']]
            of_track = (annotation['category_id'], annotation['video_id'])
            assert tracks.setdefault(annotation['instance_id'], of_track) == of_track
        assert sorted(tracks) == list(range(1, len(tracks) + 1))


def test_a_track_has_at_most_one_box_in_a_frame(contents):
    for content in contents:
        counts = Counter((annotation['instance_id'], annotation['image_id']) for annotation in content['annotations'])
        assert set(counts.values()) == {1}


def test_frames_are_called_degraded_by_their_degradation(contents):
    for image in contents[0]['images']:
        assert image['degradation'] in ('none', *DEGRADATIONS)
        assert image['degraded'] == (image['degradation'] != 'none')


def test_bad_frames_come_in_bursts_of_every_kind_after_a_clean_start(scenes):
    plans = [scene.degradations for scene in scenes]
    counts = Counter(kind for plan in plans for kind in plan)
    assert set(counts) == {'none', *DEGRADATIONS}
    assert 0.3 < 1 - counts['none'] / counts.total() < 0.5
    for plan in plans:
        assert plan[:3] == ('none',) * 3
        changes = [i for i in range(1, len(plan)) if plan[i] != plan[i - 1]]
        for start, end in itertools.pairwise(changes):
            assert plan[start] == 'none' or (3 <= end - start <= 8 and plan[end] == 'none')


def test_every_class_occurs_and_few_frames_are_empty(scenes):
    found = [annotate(scene, frame_id) for scene in scenes for frame_id in range(0, 48, 12)]
    assert {seen['category_id'] for frame in found for seen in frame} == {1, 2, 3, 4}
    assert max(map(len, found)) <= 4
    assert np.mean([len(frame) == 0 for frame in found]) < 0.05
    assert 0.05 < np.mean([seen['occluded'] for frame in found for seen in frame]) < 0.5


def test_objects_come_and_go(scenes):
    tracks = [{seen['layer'] for seen in annotate(scene, frame_id)} for scene in scenes for frame_id in (0, 47)]
    assert any(last - first for first, last in zip(tracks[::2], tracks[1::2], strict=True))
    assert any(first - last for first, last in zip(tracks[::2], tracks[1::2], strict=True))


@pytest.mark.parametrize('frame_id', [0, 9, 20, 47])
def test_a_box_is_the_extent_of_the_object_drawn_alone(scenes, frame_id):
    for scene in scenes[:12]:
        for seen in annotate(scene, frame_id):
            rows, columns = np.nonzero(alone(scene, seen['layer'], frame_id))
            assert seen['bbox'] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]


def test_an_object_out_of_the_frame_or_covered_has_no_box(scenes):
    for scene in scenes[:12]:
        for frame_id in (0, 47):
            boxed = {seen['layer'] for seen in annotate(scene, frame_id)}
            for index, layer in enumerate(scene.layers):
                if layer.shape is not None:
                    mask = alone(scene, index, frame_id)
                    nearer = [alone(scene, other, frame_id) for other in range(index + 1, len(scene.layers))]
                    seen = mask & ~np.any([np.zeros_like(mask), *nearer], axis=0)
                    inside = mask.sum() / layer.area(frame_id)
                    assert (index in boxed) == (inside >= 0.15 and seen.sum() >= 0.25 * mask.sum())


def alone(scene, index, frame_id):
    """Where one layer is, painted white and shown on black."""
    layer = scene.layers[index]
    white = replace(layer, picture=np.repeat(layer.picture[..., 3:], 4, axis=2) * [[[255, 255, 255, 1]]])
    return replace(scene, layers=(white,)).snapshot(frame_id)[..., 0] > 127.5


@pytest.mark.parametrize('kind', DEGRADATIONS)
def test_a_degraded_frame_is_far_from_what_an_ideal_camera_sees(kind):
    scene = make_scene((0, 0, 0), (kind,) * 3, (128, 128))
    assert np.abs(scene.frame(1) - scene.snapshot(1)).mean() > 5


def test_a_clean_frame_is_what_an_ideal_camera_sees():
    scene = make_scene((0, 0, 0), ('none',) * 3, (128, 128))
    assert np.abs(scene.frame(1) - scene.snapshot(1)).max() <= 1


def test_a_data_set_that_is_there_is_kept(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    make_synthetic_vid(root, **TINY)
    assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before


def test_one_made_with_other_arguments_is_refused_and_left_alone(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    with pytest.raises(InputError, match='another folder'):
        make_synthetic_vid(root, seed=5, **TINY)
    assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == before


@pytest.mark.parametrize('name', ['note.txt', 'train.json'])
def test_a_foreign_folder_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).write_text('{"images": []}')
    with pytest.raises(InputError, match='another folder'):
        make_synthetic_vid(tmp_path, **TINY)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_empty_folder_is_filled(tmp_path):
    make_synthetic_vid(tmp_path, train_videos=1, val_videos=1, frames_per_video=1, size=(64, 64))
    assert {path.name for path in tmp_path.iterdir()} == {'train', 'val', 'train.json', 'val.json'}


def test_an_interrupted_generation_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(frames, path, size):
        path.write_bytes(b'half a video')
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic_vid, '_encode', interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic_vid(tmp_path / 'synthetic', **TINY)
    assert list(tmp_path.iterdir()) == []


def test_of_two_at_once_the_first_to_finish_is_kept(tmp_path, monkeypatch):
    encode, root = synthetic_vid._encode, tmp_path / 'synthetic'

    def overtaken(frames, path, size):
        monkeypatch.setattr(synthetic_vid, '_encode', encode)
        make_synthetic_vid(root, **TINY)
        (root / 'mark').touch()
        encode(frames, path, size)

    monkeypatch.setattr(synthetic_vid, '_encode', overtaken)
    make_synthetic_vid(root, **TINY)
    assert (root / 'mark').exists() and list(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize('change', [{'train_videos': 0}, {'seed': -1}, {'size': (64, 97)}, {'size': (32, 64)}])
def test_arguments_out_of_range_are_refused(tmp_path, change):
    with pytest.raises(InputError, match='must be'):
        make_synthetic_vid(tmp_path / 'synthetic', **{**TINY, **change})


def test_the_dataset_makes_itself_and_refuses_data_of_another_version(tmp_path, monkeypatch):
    from tsm_det.datasets import synthetic_vid
    root = tmp_path / 'synthvid'
    make_synthetic_vid(root, train_videos=1, val_videos=1, frames_per_video=4, size=(64, 64))
    keys = dict(data_root=str(root), ann_file='train.json', pipeline=[])
    assert len(synthetic_vid.SyntheticVIDDataset(**keys)) == 1
    monkeypatch.setattr(synthetic_vid, 'VERSION', -1)
    with pytest.raises(InputError, match='is not the synthetic data set'):
        synthetic_vid.SyntheticVIDDataset(**keys)
