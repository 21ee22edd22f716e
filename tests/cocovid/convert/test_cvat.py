"""Exports "CVAT for video 1.1" become a CocoVID file."""

import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cocovid.csv_folder import write_video
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.cvat import convert_cvat
from tsm_det.errors import InputError

META = ('<task><id>7</id><name>{name}</name><size>6</size><mode>interpolation</mode><start_frame>0</start_frame>'
        '<stop_frame>5</stop_frame><frame_filter></frame_filter><labels><label><name>bird</name></label><label>'
        '<name>ant</name></label></labels><original_size><width>64</width><height>48</height></original_size>'
        '<source>{name}.mp4</source></task><dumped>2026-01-01 00:00:00+00:00</dumped>')


@pytest.fixture
def folder(tmp_path):
    """Where the video a.mp4 is, of 6 frames."""
    (tmp_path / 'videos').mkdir()
    write_video(tmp_path / 'videos' / 'a.mp4')
    return tmp_path / 'videos'


def box(frame, box=(10, 20, 14, 25), **keys):
    corners = dict(zip(('xtl', 'ytl', 'xbr', 'ybr'), box, strict=True))
    keys = {'frame': frame, 'keyframe': 1, 'outside': 0, 'occluded': 0, **corners, 'z_order': 0, **keys}
    return f'<box {" ".join(f"""{key}="{value}" """ for key, value in keys.items())}></box>'


def track(*shapes, number=0, label='bird'):
    return f'<track id="{number}" label="{label}" source="manual">\n' + '\n'.join(shapes) + '\n</track>'


def write(folder, *tracks, meta=META, name='a', path='export.xml', head=''):
    path = folder.parent / 'xml' / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{head}<annotations>\n<version>1.1</version>\n'
                    f'<meta>{meta.format(name=name)}</meta>\n' + '\n'.join(tracks) + '\n</annotations>\n')
    return path


def convert(source, folder, **options):
    out = folder.parent / 'all.json'
    report = convert_cvat(source, folder, out, **options)
    return json.loads(out.read_text()), report


def boxes_of(content):
    frames = {image['id']: image['frame_id'] for image in content['images']}
    labels = {category['id']: category['name'] for category in content['categories']}
    return [(frames[box['image_id']], labels[box['category_id']], box['bbox'], box['instance_id'])
            for box in content['annotations']]


def test_boxes_become_annotations_of_their_tracks(folder):
    content, _ = convert(write(folder, track(box(1), box(2, keyframe=0)), track(box(1, (0, 0, 9, 9), occluded=1),
                                                                                number=1, label='ant')), folder)
    assert boxes_of(content) == [(1, 'bird', [10, 20, 4, 5], 1), (1, 'ant', [0, 0, 9, 9], 2),
                                 (2, 'bird', [10, 20, 4, 5], 1)]
    assert [annotation['occluded'] for annotation in content['annotations']] == [False, True, False]
    assert [(image['file_name'], image['frame_id'], image['frame_in_file']) for image in content['images']] == [
        ('a.mp4', k, k) for k in range(6)]


def test_categories_are_the_labels_in_the_order_of_the_task(folder):
    content, _ = convert(write(folder, track(box(0))), folder)
    assert [item['name'] for item in content['categories']] == ['bird', 'ant']


def test_a_box_outside_is_not_there(folder):
    content, report = convert(write(folder, track(box(1), box(2, outside=1), box(4), box(5, outside=1))), folder)
    assert [frame for frame, *_ in boxes_of(content)] == [1, 4]
    assert report.dropped == []


def test_nothing_is_made_up_between_key_frames_but_it_is_noted(folder):
    content, report = convert(write(folder, track(box(0), box(5)), track(box(1), box(3, outside=1), number=1)), folder)
    assert [(frame, number) for frame, _, _, number in boxes_of(content)] == [(0, 1), (1, 2), (5, 1)]
    assert '5 frames inside tracks have no box' in str(report)


def test_key_frames_are_interpolated_as_cvat_does(folder):
    """Linear, also towards a box outside; none while outside; the last box stays to the end."""
    tracks = [track(box(0, (0, 0, 8, 8)), box(4, (40, 20, 52, 32)), box(5, outside=1)),
              track(box(0, (0, 0, 8, 8)), box(2, (20, 0, 28, 8), outside=1), box(4, (1, 1, 9, 9)), number=1)]
    content, report = convert(write(folder, *tracks), folder, interpolate=True)
    found = boxes_of(content)
    assert [(frame, its) for frame, _, its, number in found if number == 1] == [
        (0, [0, 0, 8, 8]), (1, [10, 5, 9, 9]), (2, [20, 10, 10, 10]), (3, [30, 15, 11, 11]), (4, [40, 20, 12, 12])]
    assert [(frame, its[0]) for frame, _, its, number in found if number == 2] == [(0, 0), (1, 10), (4, 1), (5, 1)]
    assert report.notes == []


def test_angles_are_interpolated_along_the_shorter_arc(folder):
    content, _ = convert(write(folder, track(box(0, (10, 20, 30, 24), rotation=350),
                                             box(2, (10, 20, 30, 24), rotation=10), box(3, outside=1))), folder,
                         interpolate=True)
    assert content['annotations'][1]['bbox'] == pytest.approx([10, 20, 20, 4])


def test_a_whole_export_is_not_changed_by_interpolation(folder):
    path = write(folder, track(*map(box, range(4)), box(4, outside=1)), track(box(3), box(4, outside=1), number=1))
    assert convert(path, folder, interpolate=True)[0] == convert(path, folder)[0]


def test_shapes_without_a_track_are_linked(folder):
    """CVAT writes one as a track of a frame that is outside in the next frame, if there is one."""
    shapes = [track(box(k), box(k + 1, outside=1), number=k) for k in range(5)]
    content, _ = convert(write(folder, *shapes, track(box(5), number=5)), folder)
    assert [number for *_, number in boxes_of(content)] == [1] * 6


IMAGE = '<image id="{id}" name="{name}" width="64" height="48">{shapes}</image>'
SHAPE = '<box label="bird" occluded="1" xtl="10" ytl="20" xbr="14" ybr="25"/><polygon label="bird" points="1,1;2,2"/>'


def test_cvat_for_images_lists_its_frames_and_has_no_tracks(folder):
    names = [IMAGE.format(id=k, name=f'frame_{k:06d}', shapes=SHAPE) for k in (1, 2, 5)]
    content, report = convert(write(folder, *names, IMAGE.format(id=4, name='frame_000004', shapes='')), folder)
    assert [image['frame_in_file'] for image in content['images']] == [1, 2, 4, 5]
    assert [(frame, number) for frame, _, _, number in boxes_of(content)] == [(1, 1), (2, 1), (5, 1)]
    assert report.left_out == {'polygon shapes left out: only boxes are converted': 3}


def test_cvat_for_images_finds_pictures_by_name(folder):
    write_images(folder / 'walk', ['c.jpg', 'a.jpg', 'b.jpg'])
    names = [IMAGE.format(id=k, name=f'walk/{name}.jpg', shapes=SHAPE) for k, name in ((0, 'b'), (4, 'c'))]
    content, _ = convert(write(folder, *names, name='walk'), folder)
    assert [(image['file_name'], image['frame_id']) for image in content['images']] == [
        ('walk/b.jpg', 0), ('walk/c.jpg', 4)]


def pictures(folder, numbers, place='walk', suffix='png'):
    write_images(folder / place, [f'frame_{k:06d}.{suffix}' for k in numbers])


def task(start, stop, step=1):
    meta = META.replace('<start_frame>0', f'<start_frame>{start}').replace('<stop_frame>5', f'<stop_frame>{stop}')
    return meta.replace('<frame_filter>', f'<frame_filter>step={step}')


@pytest.mark.parametrize(('meta', 'there'), [
    (task(0, 5), [0, 1, 2, 3, 4, 5]), (task(0, 5), [0, 1, 2, 5]), (task(0, 5), [1, 2]), (task(4, 9), [4, 5, 7, 9]),
    (task(3, 12, 3), [3, 6, 9, 12]), (task(3, 13, 3), [6, 12]), ('', [0, 2, 3])])
@pytest.mark.parametrize(('place', 'suffix'), [('walk', 'png'), ('walk/images', 'PNG')])
def test_pictures_that_cvat_named_are_numbered_by_their_names(folder, meta, there, place, suffix):
    pictures(folder, there, place, suffix)
    content, report = convert(write(folder, track(*map(box, there)), meta=meta, path='walk.xml', name='walk'), folder)
    assert [(image['file_name'], image['frame_id']) for image in content['images']] == [
        (f'{place}/frame_{k:06d}.{suffix}', k) for k in there]
    assert [frame for frame, *_ in boxes_of(content)] == there
    assert (report.dropped, content['videos'][0]['name']) == ([], 'walk')


@pytest.mark.parametrize(('meta', 'names', 'expected'), [
    (task(0, 2), ['frame_1.jpg', 'frame_2.jpg', 'frame_3.jpg'], {'frame_1.jpg': 0, 'frame_2.jpg': 1, 'frame_3.jpg': 2}),
    (task(4, 8, 2), ['a.jpg', 'b.jpg', 'c.jpg'], {'a.jpg': 4, 'b.jpg': 6, 'c.jpg': 8}),
    (task(1, 3, 2), ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg'], {'b.jpg': 1, 'd.jpg': 3}),
    (task(1, 2), ['frame_1.jpg', 'frame_2.jpg', 'frame_3.jpg'], {'frame_2.jpg': 1, 'frame_3.jpg': 2})])
def test_other_pictures_are_numbered_in_order(folder, meta, names, expected):
    write_images(folder / 'walk', names)
    content, _ = convert(write(folder, track(box(max(expected.values()))), meta=meta, name='walk'), folder)
    assert {Path(image['file_name']).name: image['frame_id'] for image in content['images']} == expected


@pytest.mark.parametrize(('meta', 'names'), [
    (task(0, 5), ['frame_1.jpg', 'frame_2.jpg', 'frame_4.jpg', 'frame_6.jpg']), (task(0, 5), ['a.jpg', 'b.jpg']),
    (task(4, 5), ['frame_0.jpg', 'frame_2.jpg', 'frame_9.jpg', 'frame_11.jpg', 'frame_12.jpg', 'frame_13.jpg']),
    ('', ['frame_1.jpg', 'frame_2.jpg']), (task(0, 5), ['frame_1.jpg', 'frame_2.jpg']),
    (task(0, 2), ['frame_1.jpg', 'frame_01.jpg'])])
def test_pictures_that_leave_the_frame_of_a_box_open_are_an_error(folder, meta, names):
    write_images(folder / 'walk', names)
    with pytest.raises(InputError, match=r'walk\b'):
        convert(write(folder, track(box(0), box(1)), meta=meta, path='walk.xml', name='walk'), folder)


def test_labels_to_ignore_are_regions(folder):
    content, report = convert(write(folder, track(box(0)), track(box(0, (0, 0, 9, 9)), label='ant', number=1)), folder,
                              ignore=['ant'])
    assert [item['name'] for item in content['categories']] == ['bird']
    assert sorted(box['iscrowd'] for box in content['annotations']) == [0, 1]
    assert report.ignored == 1


def test_only_the_frames_of_the_task_are_images(folder):
    meta = META.replace('<start_frame>0', '<start_frame>1').replace('<frame_filter>', '<frame_filter>step=2')
    content, report = convert(write(folder, track(box(1), box(2), box(3)), meta=meta), folder)
    assert [(image['frame_id'], image['frame_in_file']) for image in content['images']] == [(1, 1), (3, 3), (5, 5)]
    assert [(dropped.line, dropped.why) for dropped in report.dropped] == [
        (7, 'frame 2 is not in the video, which has frames 1 to 5 with gaps')]


def test_a_turned_box_becomes_the_upright_one_around_it(folder):
    content, _ = convert(write(folder, track(box(0, (10, 20, 30, 24), rotation=90),
                                             box(1, (10, 20, 20, 30), rotation=45))), folder)
    side = 10 * math.sqrt(2)
    assert content['annotations'][0]['bbox'] == pytest.approx([18, 12, 4, 20])
    assert content['annotations'][1]['bbox'] == pytest.approx([15 - side / 2, 25 - side / 2, side, side])


def test_other_shapes_are_counted(folder):
    shapes = '<polygon frame="0" outside="0" points="1,1;2,2"/>', '<polygon frame="1" outside="1" points="1,1;2,2"/>'
    _, report = convert(write(folder, track(*shapes), track(box(0), number=1)), folder)
    assert '1 polygon shapes left out' in str(report)


def test_a_folder_of_images_serves_as_the_video(folder):
    write_images(folder / 'walk', ['c.jpg', 'a.jpg', 'b.jpg'])
    meta = META.replace('<source>{name}.mp4</source>', '').replace('<stop_frame>5', '<stop_frame>2')
    content, _ = convert(write(folder, track(box(2)), meta=meta, name='walk'), folder)
    assert [image['file_name'] for image in content['images']] == ['walk/a.jpg', 'walk/b.jpg', 'walk/c.jpg']
    assert 'frame_in_file' not in content['images'][0]
    assert boxes_of(content)[0][0] == 2


@pytest.mark.parametrize('path', ['a.xml', 'a/annotations.xml'])
def test_a_job_names_no_video_so_its_file_does(folder, path):
    meta = '<job><id>3</id><size>6</size><start_frame>0</start_frame><stop_frame>5</stop_frame></job>'
    content, _ = convert(write(folder, track(box(2)), meta=meta, path=path), folder)
    assert content['videos'][0]['name'] == 'a'


def test_a_folder_of_exports_is_one_file(folder):
    write_video(folder / 'b.mp4')
    for name in 'ab':
        write(folder, track(box(0)), name=name, path=f'{name}/annotations.xml')
    content, _ = convert(folder.parent / 'xml', folder)
    assert [(video['id'], video['name']) for video in content['videos']] == [(1, 'a'), (2, 'b')]
    assert [number for *_, number in boxes_of(content)] == [1, 2]


def test_a_source_leads_nowhere_but_into_the_folder_of_videos(folder):
    write_video(folder.parent / 'secret.mp4')
    path = write(folder, name='../secret')
    with pytest.raises(InputError, match='has no such video'):
        convert(path, folder)


@pytest.mark.parametrize(('head', 'what'), [
    ('<!DOCTYPE a [<!ENTITY x "y">]>', 'entities'), ('<!DOCTYPE a SYSTEM "http://example.com/a.dtd">', 'a fetch')])
def test_a_file_with_a_document_type_is_refused(folder, head, what):
    with pytest.raises(InputError, match=r'has a document type, which'):
        convert(write(folder, head=head), folder)


@pytest.mark.parametrize(('text', 'message'), [
    ('<annotations>', 'cannot be read as XML'), ('', 'cannot be read as XML'), ('<a/>', 'begins with <a> but'),
    ('<annotations><image name="a.jpg"/></annotations>', 'line 1: id is None'),
    ('<annotations><image id="-1"/></annotations>', 'has the image -1'),
    ('<annotations><image id="0" name="a"/><image id="0" name="b"/></annotations>', 'a second image of frame 0'),
    ('<annotations><meta><project/></meta></annotations>', 'is the export of a project'),
    ('<annotations><track><box/></track></annotations>', 'line 1 has a track without a label'),
    ('<annotations>\n<track label="a"><box frame="0" xtl="x"/></track></annotations>',
     "line 2: xtl is 'x' but must be a number"),
    ('<annotations><track label="a"><box frame="0" xtl="1"/></track></annotations>', 'ytl is None but must be'),
    ('<annotations><track label="a"><box frame="b" xtl="1" ytl="1" xbr="1" ybr="1"/></track></annotations>',
     "frame is 'b' but must be a whole number"),
    ('<annotations><meta><task><start_frame>x</start_frame><stop_frame>1</stop_frame></task></meta></annotations>',
     "start_frame is 'x'")])
def test_a_file_that_cannot_be_understood_is_an_error(folder, text, message):
    path = write(folder)
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        convert(path, folder)


@pytest.mark.parametrize(('meta', 'message'), [
    (META.replace('{name}.mp4', 'b.mp4').replace('{name}', 'b'), r'is of b\.mp4 but .* has no such video'),
    (META.replace('<width>64', '<width>640'), 'states frames of 640x48 px but .*a.mp4 has 64x48'),
    (META.replace('<stop_frame>5', '<stop_frame>6'), 'is of the frames 0 to 6 but .*a.mp4 has 0 to 5'),
    (META.replace('<start_frame>0', '<start_frame>9'), 'is of the frames 9 to 5 but')])
def test_another_video_is_an_error(folder, meta, message):
    with pytest.raises(InputError, match=message):
        convert(write(folder, meta=meta), folder)


def test_two_exports_of_a_video_are_an_error(folder):
    write(folder, path='b.xml')
    write(folder)
    with pytest.raises(InputError, match=r'export\.xml and .*b\.xml are both of .*a\.mp4'):
        convert(folder.parent / 'xml', folder)


def test_a_label_that_is_no_class_is_an_error(folder):
    with pytest.raises(InputError, match=r"export\.xml line 6 has the label 'bird', .* ant"):
        convert(write(folder, track(box(0))), folder, classes=['ant'])


def test_a_track_with_two_boxes_in_a_frame_is_an_error(folder):
    with pytest.raises(InputError, match=r'2 boxes of bird track 0 of line 5 in frame 1'):
        convert(write(folder, track(box(1), box(1))), folder)


@pytest.mark.parametrize('name', ['', 'nowhere'])
def test_a_folder_without_exports_is_an_error(folder, name):
    with pytest.raises(InputError, match='holds no XML file'):
        convert(folder / name, folder)


corner = st.integers(0, 30)
length = st.integers(1, 18)


@given(st.lists(st.tuples(st.integers(0, 2), corner, corner, length, length), min_size=1, max_size=8))
def test_boxes_written_in_the_format_come_back(boxes):
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder, 'videos')
        write_images(videos / 'a', ['0.jpg', '1.jpg', '2.jpg'])
        path = write(videos, *(track(box(frame, (x, y, x + w, y + h)), number=number)
                               for number, (frame, x, y, w, h) in enumerate(boxes)),
                     meta=META.replace('<stop_frame>5', '<stop_frame>2'))
        found = [(frame, *its) for frame, _, its, _ in boxes_of(convert(path, videos)[0])]
    assert found == sorted(boxes, key=lambda box: box[0])
