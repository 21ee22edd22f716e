"""Whatever a file of strangers holds, a converter refuses it in a sentence and the check reports it."""

import copy
import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.check import check_file
from tsm_det.cocovid.convert.coco_frames import convert_coco_frames
from tsm_det.cocovid.convert.cvat import convert_cvat
from tsm_det.cocovid.convert.mot import convert_mot
from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.errors import InputError

SOUND = {
    'videos': [{'id': 1, 'name': 'a'}],
    'images': [{'id': k, 'file_name': f'a/{k}.jpg', 'width': 64, 'height': 48, 'video_id': 1, 'frame_id': k}
               for k in (1, 2)],
    'annotations': [{'id': k, 'image_id': k, 'video_id': 1, 'category_id': 1, 'instance_id': 1, 'area': 20,
                     'bbox': [10, 10, 4, 5], 'iscrowd': 0, 'attributes': {}} for k in (1, 2)],
    'categories': [{'id': 1, 'name': 'bird'}]}
KEYS = sorted({(what, key) for what, records in SOUND.items() for key in records[0]} | {('images', 'frame_in_file')})
NUMBERS = st.integers() | st.floats() | st.sampled_from([10 ** 400, -1, 1 << 63, 1e308, 2, 3])
VALUES = st.lists(NUMBERS, min_size=4, max_size=4) | st.recursive(
    NUMBERS | st.none() | st.booleans() | st.sampled_from(['', 'b', '../x', 'a/2.jpg', '\0', 'a' * 300 + '1']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(['id', 'track_id']), inner),
    max_leaves=5)
changes = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 1), VALUES), max_size=4)


@pytest.fixture(scope='module')
def folder():
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), ['a/1.jpg', 'a/2.jpg'])
        yield Path(folder)


def write(folder, changes):
    content = copy.deepcopy(SOUND)
    for (what, key), place, value in changes:
        content[what][place % len(content[what])][key] = value
    (folder / 'all.json').write_text(json.dumps(content))
    return folder / 'all.json'


@settings(max_examples=50)
@given(changes)
def test_a_check_has_an_answer_to_any_value(folder, changes):
    report = check_file(write(folder, changes), every_frame=True)
    assert report.exit_status in (0, 1)
    assert str(report)


@settings(max_examples=50)
@given(changes)
def test_a_file_without_problems_is_learned_from_to_the_last_box(folder, changes):
    path = write(folder, changes)
    if check_file(path).exit_status == 0:
        dataset = CocoVIDDataset(ann_file=str(path), data_prefix=dict(img_path=str(folder)), pipeline=[])
        boxes = sum(len(image['instances']) for video in dataset.load_data_list() for image in video['images'])
        assert boxes == len(json.loads(path.read_text())['annotations'])


@settings(max_examples=50)
@given(changes)
def test_a_coco_file_is_converted_or_refused(folder, changes):
    with suppress(InputError):
        convert_coco_frames(write(folder, changes), folder, folder / 'out.json')


@settings(max_examples=50)
@given(st.lists(st.text('0123456789.,-naif e\n', max_size=30), max_size=5))
def test_a_gt_file_is_converted_or_refused(folder, lines):
    (folder / 'gt').mkdir(exist_ok=True)
    (folder / 'gt' / 'gt.txt').write_text('\n'.join(lines))
    (folder / 'img1').mkdir(exist_ok=True)
    write_images(folder / 'img1', ['1.jpg'])
    with suppress(InputError):
        convert_mot(folder, folder / 'out.json')


@settings(max_examples=50)
@given(st.sampled_from(['frame', 'xtl', 'ybr', 'rotation', 'occluded', 'outside']),
       st.text('0123456789.-naifex', max_size=12))
def test_an_xml_file_is_converted_or_refused(folder, key, value):
    keys = {'frame': 0, 'xtl': 1, 'ytl': 1, 'xbr': 9, 'ybr': 9, key: value}
    box = ' '.join(f'{name}="{text}"' for name, text in keys.items())
    (folder / 'a.xml').write_text(f'<annotations><track id="0" label="bird"><box {box}/></track></annotations>')
    with suppress(InputError):
        convert_cvat(folder / 'a.xml', folder, folder / 'out.json')
