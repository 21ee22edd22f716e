"""ImageNet VID and DET, in exactly their layout."""

import json
import os
import shutil
import signal
from collections import Counter

import pytest

from tests.cocovid.ilsvrc import BEAR, DOG, Box, add_lines, annotation, write_tree
from tsm_det.cocovid import parts
from tsm_det.cocovid.convert import imagenet_converter
from tsm_det.cocovid.convert.imagenet_converter import convert_imagenet_det, convert_imagenet_vid
from tsm_det.errors import InputError

FIRST = 'VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000'


@pytest.fixture(scope='module')
def original(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp('original') / 'ILSVRC2015')


@pytest.fixture
def root(original, tmp_path):
    """A tree of one's own to spoil."""
    return shutil.copytree(original, tmp_path / 'ILSVRC2015')


def convert(root, split='train', workers=1, **options):
    """The report of a split and the content of its file."""
    report, = convert_imagenet_vid(root, root / 'annotations', splits=[split], workers=workers, **options)
    return report, json.loads((root / 'annotations' / f'imagenet_vid_{split}.json').read_text())


def test_every_frame_of_every_listed_video_becomes_an_image(original, tmp_path):
    reports = convert_imagenet_vid(original, tmp_path, workers=2)
    contents = [json.loads((tmp_path / f'imagenet_vid_{split}.json').read_text()) for split in ('train', 'val')]
    assert [len(content['videos']) for content in contents] == [3, 3]
    assert [len(content['images']) for content in contents] == [34, 12]
    assert [len(content['annotations']) for content in contents] == [10 + 9 + 20, 4 + 8 + 1]
    assert [report.problems for report in reports] == [[], []]
    assert [report.counts['images'] for report in reports] == [34, 12]
    assert reports.exit_status == 0
    assert all((original / 'Data' / image['file_name']).is_file() for content in contents
               for image in content['images'])


def test_key_frames_are_those_of_the_list_and_not_one_early(root):
    report, content = convert(root)
    names = {video['id']: video['name'][-8:] for video in content['videos']}
    keys = [(names[image['video_id']], image['frame_id'], image['file_name'][-11:]) for image in content['images']
            if image['is_vid_train_frame']]
    assert keys == [
        ('00000000', 0, '000000.JPEG'), ('00000000', 3, '000003.JPEG'), ('00000000', 9, '000009.JPEG'),
        ('00001000', 2, '000002.JPEG'), ('00001000', 7, '000007.JPEG'), ('00010001', 5, '000005.JPEG')]
    assert report.counts['key frames'] == 6


def test_categories_are_in_the_official_order(root):
    from mmdet.evaluation import imagenet_vid_classes
    _, content = convert(root)
    assert [item['name'] for item in content['categories']] == imagenet_vid_classes()
    assert [item['id'] for item in content['categories']] == list(range(1, 31))


def test_a_box_keeps_its_place_its_flags_and_its_track(root):
    _, content = convert(root)
    last = content['annotations'][-1]
    assert last == {
        'id': 39, 'image_id': 34, 'video_id': 3, 'category_id': 3, 'instance_id': last['instance_id'],
        'bbox': [30, 20, 30, 24], 'area': 720, 'iscrowd': 0, 'occluded': True, 'generated': True}
    tracks = {item['instance_id']: (item['video_id'], item['category_id']) for item in content['annotations']}
    assert tracks == {1: (1, 9), 2: (2, 9), 3: (3, 9), 4: (3, 3)}
    videos = {image['id']: image['video_id'] for image in content['images']}
    assert all(videos[item['image_id']] == item['video_id'] for item in content['annotations'])


def test_ids_are_numbered_without_gaps(root):
    _, content = convert(root)
    for what in ('videos', 'images', 'annotations'):
        assert [item['id'] for item in content[what]] == list(range(1, len(content[what]) + 1))


def test_processes_and_parts_do_not_change_the_file(root, tmp_path, monkeypatch):
    convert_imagenet_vid(root, tmp_path / 'one', workers=1)
    convert_imagenet_vid(root, tmp_path / 'two', workers=2)
    convert_imagenet_det(root, tmp_path / 'one', workers=1)
    monkeypatch.setattr(imagenet_converter, '_STILLS_PER_PART', 1)
    convert_imagenet_det(root, tmp_path / 'two', workers=2)
    files = sorted(path.name for path in (tmp_path / 'one').iterdir())
    assert len(files) == 6
    for name in files:
        assert (tmp_path / 'one' / name).read_text() == (tmp_path / 'two' / name).read_text()


def test_stills_come_once_and_other_classes_are_counted(root):
    report, = convert_imagenet_det(root, root / 'annotations', workers=1)
    content = json.loads((root / 'annotations' / 'imagenet_det_30classes.json').read_text())
    assert len(content['images']) == len(content['annotations']) == 3
    assert content['videos'] == [] and 'video_id' not in content['images'][0]
    assert sorted(item['instance_id'] for item in content['annotations']) == [1, 2, 3]
    assert report.problems == []
    counts = report.counts
    assert (counts['stills listed'], counts['listed twice'], counts['objects of other classes']) == (4, 1, 3)


XML = 'Annotations/' + FIRST + '/000002.xml'


@pytest.mark.parametrize(('kind', 'text', 'frames', 'boxes', 'detail'), [
    ('missing XML', None, 9, 9, ''),
    ('corrupt XML', '<annotation><size>', 9, 9, 'no element found'),
    ('corrupt XML', '<annotation><size><width>64</width></size></annotation>', 9, 9, 'could not convert'),
    ('corrupt XML', annotation([], size=(0, 48)), 9, 9, 'the image is 0x48'),
    ('corrupt XML', annotation([Box(DOG, (1, 2, 'nan', 9))]), 9, 9, 'not finite'),
    ('corrupt XML', annotation([Box(DOG, (1, 2, '', 9))]), 9, 9, 'could not convert'),
    ('box outside the image', annotation([Box(DOG, (70, 2, 80, 9))]), 10, 9, 'n02084071 at 70 2 80 9 in 64x48'),
    ('box of no area', annotation([Box(DOG, (7, 2, 7, 9))]), 10, 9, 'n02084071 at 7 2 7 9 in 64x48'),
    ('box clipped to the image', annotation([Box(DOG, (60, -2, 80, 9))]), 10, 10, 'n02084071 at 60 -2 80 9 in 64x48'),
    ('unknown synset', annotation([Box('n00000000', (1, 2, 7, 9))]), 10, 9, 'n00000000'),
    ('object without trackid', annotation([Box(DOG, (1, 2, 7, 9), track=None)]), 10, 10, '')])
def test_what_is_wrong_with_a_frame_is_counted_and_named(root, kind, text, frames, boxes, detail):
    (root / XML).unlink() if text is None else (root / XML).write_text(text)
    report, content = convert(root)
    problem, = report.problems
    assert (problem.kind, problem.path) == (kind, XML)
    assert detail in problem.detail
    assert f'problem: {kind}' in str(report) and XML in str(report)
    assert XML in report.problems_file.read_text()
    frame_ids = [image['frame_id'] for image in content['images'] if image['video_id'] == 1]
    assert frame_ids == [k for k in range(10) if frames == 10 or k != 2]
    assert sum(item['video_id'] == 1 for item in content['annotations']) == boxes


def test_a_clipped_box_ends_at_the_image(root):
    (root / XML).write_text(annotation([Box(DOG, (60, -2, 80, 9))]))
    _, content = convert(root)
    image = next(image['id'] for image in content['images'] if image['frame_id'] == 2)
    assert next(item['bbox'] for item in content['annotations'] if item['image_id'] == image) == [60, 0, 4, 9]


def test_a_frame_without_its_picture_is_left_out_and_named(root):
    (root / 'Data' / FIRST / '000004.JPEG').unlink()
    (root / 'Data' / FIRST / '000099.JPEG').write_bytes(b'')
    report, content = convert(root)
    assert [(problem.kind, problem.path) for problem in report.problems] == [
        ('missing JPEG', f'Data/{FIRST}/000004.JPEG'), ('file not in the list', f'Data/{FIRST}/000099.JPEG')]
    assert len(content['images']) == 33


def test_a_whole_video_that_is_missing_is_named_frame_by_frame(root):
    shutil.rmtree(root / 'Data' / FIRST)
    report, content = convert(root)
    assert Counter(problem.kind for problem in report.problems) == {'missing JPEG': 10}
    assert len(content['videos']) == 2
    assert str(report).count('missing JPEG') == 1 + 10


def test_only_the_first_twenty_problems_are_printed(root):
    for path in (root / 'Annotations/VID/train').rglob('*.xml'):
        path.write_text('nothing')
    report, content = convert(root)
    assert content['images'] == content['videos'] == []
    assert str(report).count('.xml ') == 20 and f'all 34 are in {report.problems_file}' in str(report)
    assert len(report.problems_file.read_text().splitlines()) == 34


@pytest.mark.parametrize(('official', 'status'), [
    ({'videos listed': 3, 'images': 34}, 0), ({'videos listed': 3, 'images': 35}, 1),
    ({'videos listed': 4, 'images': 34}, 1), ({'videos listed': 7, 'images': 35}, 0)])
def test_a_whole_set_that_is_not_the_official_one_fails_loudly(root, monkeypatch, official, status):
    monkeypatch.setitem(imagenet_converter._OFFICIAL, 'imagenet_vid_train', official)
    reports = convert_imagenet_vid(root, root / 'annotations', splits=['train'], workers=1)
    assert reports.exit_status == status
    assert ('differs from the official one' in str(reports)) == bool(status)


def test_an_interrupted_conversion_goes_on_where_it_was(root, monkeypatch):
    def interrupted(made, total):
        yield next(iter(made))
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        convert(root, progress=interrupted)
    assert not list((root / 'annotations').glob('*.json'))
    done = sorted((root / 'annotations').rglob('000000.json'))[0]
    before = done.stat().st_mtime_ns
    seen = []
    join = parts.join_parts
    monkeypatch.setattr(imagenet_converter, 'join_parts', lambda parts, *rest: seen.append(
        parts[0].stat().st_mtime_ns) or join(parts, *rest))
    _, content = convert(root)
    assert seen == [before]
    assert len(content['images']) == 34
    assert sorted(path.name for path in (root / 'annotations').iterdir()) == [
        'imagenet_vid_train.json', 'imagenet_vid_train.problems.txt']


def test_a_mended_file_is_read_again_after_an_interruption(root):
    text = (root / XML).read_text()
    (root / XML).unlink()
    def interrupted(made, total):
        list(made)
        raise KeyboardInterrupt
        yield
    with pytest.raises(KeyboardInterrupt):
        convert(root, progress=interrupted)
    (root / XML).write_text(text)
    report, content = convert(root)
    assert (report.problems, len(content['images'])) == ([], 34)


@pytest.mark.parametrize(('spoil', 'message'), [
    (lambda root: shutil.rmtree(root / 'Data/VID/train'), 'has no folder Data/VID/train: name the ILSVRC2015 folder'),
    (lambda root: shutil.rmtree(root / 'Annotations/VID'), 'has no folder Annotations/VID/train: name'),
    (lambda root: (root / 'ImageSets/VID_train_15frames.txt').unlink(), 'VID_train_15frames.txt is missing: fetch it'),
    (lambda root: (root / 'ImageSets/VID_train_15frames.txt').write_text(''), 'VID_train_15frames.txt is empty'),
    (lambda root: add_lines(root, 'VID_train_15frames.txt', ['train/a 1 x 10']), "line 7 is 'train/a 1 x 10' but a"),
    (lambda root: add_lines(root, 'VID_train_15frames.txt', ['train/a 1 10 10']), 'line 7'),
    (lambda root: add_lines(root, 'VID_train_15frames.txt', [FIRST[4:] + ' 1 3 11']), 'line 7'),
    (lambda root: (root / 'annotations').write_text(''), 'cannot be written (Not a directory)')])
def test_a_tree_of_another_layout_gets_one_sentence(root, spoil, message):
    spoil(root)
    with pytest.raises(InputError) as error:
        convert(root)
    assert message in str(error.value) and '\n' not in str(error.value)


def test_the_lists_may_lie_elsewhere(root, tmp_path):
    shutil.move(root / 'ImageSets', tmp_path / 'lists')
    assert convert(root, lists=tmp_path / 'lists')[0].counts['images'] == 34


def test_two_boxes_of_one_class_are_two_tracks(root):
    boxes = [Box(BEAR, (1, 2, 7, 9), track=0), Box(BEAR, (20, 2, 37, 9), track=1)]
    for number in (2, 3):
        (root / 'Annotations' / FIRST / f'{number:06d}.xml').write_text(annotation(boxes))
    _, content = convert(root)
    counts = Counter(item['instance_id'] for item in content['annotations'] if item['video_id'] == 1)
    assert sorted(counts.values()) == [2, 2, 8]


@pytest.mark.parametrize(('kind', 'old', 'new', 'boxes'), [
    ('corrupt XML', f'<name>{DOG}</name>', '', 9), ('corrupt XML', f'<name>{DOG}</name>', '<name/>', 9),
    ('corrupt XML', '<annotation>', '<?xml version="1.0" encoding="foo"?><annotation>', 9),
    ('corrupt XML', '<width>64</width>', '<width>1e999</width>', 9),
    ('object without trackid', '<trackid>5</trackid>', '<trackid/>', 10)])
def test_an_odd_xml_file_never_ends_the_conversion(root, kind, old, new, boxes):
    text = (root / XML).read_text()
    assert old in text
    (root / XML).write_text(text.replace(old, new))
    report, content = convert(root)
    assert [(problem.kind, problem.path) for problem in report.problems] == [(kind, XML)]
    assert sum(item['video_id'] == 1 for item in content['annotations']) == boxes


def test_whitespace_and_decimals_mean_nothing(root):
    before = convert(root)[1]
    text = (root / XML).read_text()
    (root / XML).write_text(text.replace('<trackid>5<', '<trackid> 5 <').replace('<width>64<', '<width>64.0<'))
    report, content = convert(root)
    assert (report.problems, content) == ([], before)


@pytest.mark.parametrize(('boxes', 'kind', 'tracks'), [
    ([Box(DOG, (1, 2, 7, 9), 5), Box(DOG, (20, 2, 37, 9), 5)], 'track twice in a frame', 5),
    ([Box(BEAR, (1, 2, 7, 9), 5)], 'track of several classes', 5)])
def test_a_track_is_of_one_class_and_once_in_a_frame(root, boxes, kind, tracks):
    (root / XML).write_text(annotation(boxes))
    report, content = convert(root)
    assert [(problem.kind, problem.path, problem.detail) for problem in report.problems] == [(kind, XML, '5')]
    keys = Counter((item['image_id'], item['instance_id']) for item in content['annotations'])
    assert max(keys.values()) == 1
    classes = {(item['instance_id'], item['category_id']) for item in content['annotations']}
    assert len(classes) == len(dict(classes)) == tracks


def test_an_interrupted_conversion_of_another_tree_is_not_gone_on_with(root, original, tmp_path):
    def interrupted(made, total):
        list(made)
        raise KeyboardInterrupt
        yield
    with pytest.raises(KeyboardInterrupt):
        convert_imagenet_vid(original, tmp_path / 'out', ['train'], workers=1, progress=interrupted)
    for path in (root / 'Annotations/VID').rglob('*.xml'):
        path.write_text(annotation([Box(DOG, (1, 2, 7, 9))]))
    convert_imagenet_vid(root, tmp_path / 'out', ['train'], workers=1)
    content = json.loads((tmp_path / 'out' / 'imagenet_vid_train.json').read_text())
    assert {item['bbox'][0] for item in content['annotations']} == {1}
    assert sorted(path.suffix for path in (tmp_path / 'out').iterdir()) == ['.json', '.txt']


@pytest.mark.parametrize('text', ['{}\r\n', '\ufeff{}\n', '{}\n\n', '{}'])
def test_a_list_may_be_written_by_any_editor(root, text):
    path = root / 'ImageSets/VID_train_15frames.txt'
    lines = path.read_text().splitlines()
    path.write_bytes(text.format('\n'.join(lines)).encode())
    report, content = convert(root)
    assert (report.problems, len(content['images']), report.counts['key frames']) == ([], 34, 6)


def test_a_list_that_is_no_text_gets_one_sentence(root):
    (root / 'ImageSets/VID_train_15frames.txt').write_bytes(b'\xff\xfe1')
    with pytest.raises(InputError, match='is not UTF-8'):
        convert(root)


@pytest.mark.parametrize('workers', [0, -1])
def test_a_number_of_workers_below_one_gets_one_sentence(root, workers):
    with pytest.raises(InputError, match=f'--workers is {workers} but'):
        convert(root, workers=workers)


def test_a_killed_worker_gets_one_sentence(root, monkeypatch):
    monkeypatch.setattr(imagenet_converter, 'video_part', kill_me)
    with pytest.raises(InputError, match='a worker process was killed'):
        convert(root)


def kill_me(root, video):
    os.kill(os.getpid(), signal.SIGKILL)
