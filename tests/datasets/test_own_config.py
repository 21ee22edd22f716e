"""A config for one's own data: what it states follows from the annotation files."""

import json

import pytest

from tests.test_own_data import NARROW
from tsm_det.config import load_config
from tsm_det.datasets.own_config import write_config
from tsm_det.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def coco_vid(folder, video_file):
    """Writes a CocoVID file with one video, and the video beside it; boxes are squares."""
    def coco_vid(name='all.json', sides=(20,), size=(64, 48), step=1, classes=('bird', 'drone'), iscrowd=0):
        width, height = size
        video_file('a.mp4', n=6 * step, width=width, height=height)
        images = [{'id': k + 1, 'file_name': 'a.mp4', 'width': width, 'height': height, 'video_id': 1,
                   'frame_id': k * step, 'frame_in_file': k * step} for k in range(6)]
        boxes = [{'id': k + 1, 'image_id': k % 6 + 1, 'video_id': 1, 'category_id': k % len(classes) + 1,
                  'instance_id': k + 1, 'bbox': [0, 0, side, side], 'area': side * side, 'iscrowd': iscrowd}
                 for k, side in enumerate(sides)]
        (folder / name).write_text(json.dumps({
            'videos': [{'id': 1, 'name': 'a.mp4'}], 'images': images, 'annotations': boxes,
            'categories': [{'id': k, 'name': text} for k, text in enumerate(classes, start=1)]}))
        return name
    return coco_vid


def written(*files, **keys):
    write_config('mine.py', *files, **keys)
    return load_config('mine.py')


def resizes(config):
    return [tuple(step.scale) for part in ('train', 'val', 'test')
            for loading in config[f'{part}_dataloader'].dataset.pipeline for step in loading.get('transforms', ())
            if step.type.endswith('Resize')]


@pytest.mark.parametrize(('size', 'side'), [((64, 48), 20), ((640, 512), 8), ((640, 512), 16), ((640, 512), 400)])
def test_objects_stay_visible_and_fit_into_the_window(coco_vid, size, side):
    config = written(coco_vid(size=size, sides=[side] * 3))
    scales, training = resizes(config), config.train_dataloader.dataset.pipeline[1].transforms
    assert len(scales) == 3 and len(set(scales)) == 1
    factor = min(most / given for most, given in zip(scales[0], size, strict=True))
    assert side * factor >= min(side, 10)
    assert all(most >= least for most, least in zip(scales[0], (320, 256), strict=True))
    window, = (step.size for step in training if step.type == 'TargetCrop')
    assert min(window) >= 2 * side * factor


def test_boxes_that_are_not_trained_on_do_not_count(coco_vid, folder):
    config = written(coco_vid(sides=(20, 20)))
    (folder / 'mine.py').unlink()
    other = written(coco_vid(sides=(20, 0, float('nan'), 20, float('inf'))))
    assert other.to_dict() == config.to_dict()


@pytest.mark.parametrize('step', [1, 3])
def test_clips_span_the_usual_step_of_frame_ids(coco_vid, step):
    assert written(coco_vid(step=step)).train_dataloader.dataset.pipeline[0].max_gap == step


@pytest.mark.parametrize('classes', [('bird',), ("it's", 'a "b"'), ('c{d}', 'e\\n')])
def test_classes_are_the_categories_whatever_they_are_called(coco_vid, classes):
    config = written(coco_vid(classes=classes))
    assert {tuple(config[f'{part}_dataloader'].dataset.metainfo.classes) for part in ('train', 'val', 'test')} == {
        classes}
    assert config.model.roi_head.bbox_head.num_classes == len(classes)


def test_without_val_the_text_says_that_the_training_videos_are_scored(coco_vid, folder):
    coco_vid('val.json')
    write_config('alone.py', coco_vid())
    write_config('both.py', 'all.json', 'val.json')
    alone, both = (load_config(f'{name}.py') for name in ('alone', 'both'))
    assert (alone.test_evaluator.ann_file, both.test_evaluator.ann_file) == ('all.json', 'val.json')
    texts = [(folder / f'{name}.py').read_text() for name in ('alone', 'both')]
    assert ['too high' in text for text in texts] == [True, False]


@pytest.mark.slow
def test_the_config_trains_and_tests_as_it_is(coco_vid, folder, run):
    coco_vid()
    status, out, err = run('init_config configs/mine.py --data all.json')
    assert status == 0 and 'configs/mine.py' in out, out + err
    short = ('train_cfg.max_iters=3 train_cfg.val_interval=3 param_scheduler.total_steps=3 '
             'train_dataloader.batch_size=2 ' + NARROW)
    status, out, err = run(f'train configs/mine.py --cfg-options {short}')
    assert status == 0, out + err
    status, out, err = run(f'test configs/mine.py work_dirs/mine/iter_3.pth --metrics m.json --cfg-options {NARROW}')
    assert status == 0, out + err
    assert json.loads((folder / 'm.json').read_text())['frames_scored'] == 6


def refusal(*words, **keys):
    with pytest.raises(InputError) as error:
        write_config(*words, **keys)
    return str(error.value)


def test_an_existing_file_stays(coco_vid, folder):
    (folder / 'mine.py').write_text('mine')
    assert 'mine.py exists' in refusal('mine.py', coco_vid())
    assert (folder / 'mine.py').read_text() == 'mine'


def test_what_does_not_train_is_refused_before_anything_is_written(coco_vid, folder):
    coco_vid()
    assert 'mine.txt' in refusal('mine.txt', 'all.json')
    assert 'none.json' in refusal('mine.py', 'none.json')
    assert 'a.mp4' in refusal('mine.py', 'all.json', images=[str(folder / 'elsewhere')])
    assert '3 folders' in refusal('mine.py', 'all.json', images=['a', 'b', 'c'])
    assert 'crowd.json' in refusal('mine.py', coco_vid('crowd.json', iscrowd=1))
    assert 'empty.json' in refusal('mine.py', coco_vid('empty.json', sides=(0, float('nan'))))
    assert 'plane' in refusal('mine.py', 'all.json', coco_vid('other.json', classes=('bird', 'plane')))
    assert not (folder / 'mine.py').exists()
