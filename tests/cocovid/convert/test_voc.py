"""Frames with XML files of Pascal VOC become a CocoVID file."""

import pytest

from tests.cocovid.converted import boxes_of, converted, frames_of, ignored_of
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.voc import convert_voc
from tsm_det.errors import InputError

OBJECT = ('<object><name>{name}</name><truncated>0</truncated><difficult>{difficult}</difficult>'
          '<occluded>1</occluded><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax>'
          '</bndbox>{more}</object>')
FILE = ('<annotation verified="yes"><folder>VOC2007</folder><filename>{filename}</filename><source/><size>'
        '<width>64</width><height>48</height><depth>3</depth></size><segmented>0</segmented>{objects}</annotation>')


def thing(name='dog', box=(1, 1, 64, 48), difficult=0, more=''):
    return OBJECT.format(name=name, box=box, difficult=difficult, more=more)


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / 'JPEGImages', ['000005.jpg', '000006.jpg'])
    return tmp_path


def write(root, number, *objects, filename=None):
    path = root / 'Annotations' / f'{number:06d}.xml'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FILE.format(filename=filename or f'{number:06d}.jpg', objects=''.join(objects)))


def convert(root, **options):
    return converted(convert_voc, root / 'Annotations', root / 'JPEGImages', out=root / 'all.json', **options)


def test_corners_are_pixels_counted_from_1_and_both_belong_to_the_box(root):
    write(root, 5, thing(), thing('cat', (11, 21, 15, 26)))
    write(root, 6)
    content, report = convert(root)
    assert frames_of(content) == [('000005.jpg', 5), ('000006.jpg', 6)]
    assert [box[1:4] for box in boxes_of(content)] == [(5, 'dog', [0, 0, 64, 48]), (5, 'cat', [10, 20, 5, 6])]
    assert [box['occluded'] for box in content['annotations']] == [True, True]
    assert report.clipped == 0 and '--origin 1' in str(report)


@pytest.mark.parametrize('box', [(0, 21, 15, 26), (10.5, 21, 15, 26)])
def test_a_corner_of_0_or_a_fraction_shows_that_corners_are_coordinates(root, box):
    write(root, 5, thing(box=box), thing('cat', (11, 21, 15, 26)))
    content, report = convert(root)
    assert [box[3] for box in boxes_of(content)] == [[box[0], 21, 15 - box[0], 5], [11, 21, 4, 5]]
    assert '--origin 0' in str(report)


def test_the_origin_may_be_given(root):
    write(root, 5, thing(box=(11, 21, 15, 26)))
    assert [boxes_of(convert(root, origin=origin)[0])[0][3] for origin in (0, 1)] == [[11, 21, 4, 5], [10, 20, 5, 6]]


def test_difficult_objects_are_ignored(root):
    write(root, 5, thing(difficult=1), thing('cat'))
    content, _ = convert(root)
    assert [box[2] for box in ignored_of(content)] == ['dog'] and [box[2] for box in boxes_of(content)] == ['cat']


@pytest.mark.parametrize('more', [
    '<trackid>{}</trackid>', '<attributes><attribute><name>track_id</name><value>{}</value></attribute></attributes>'])
def test_tracks_are_kept(root, more):
    left, right = (1, 1, 9, 9), (40, 1, 49, 9)
    write(root, 5, thing(box=left, more=more.format(7)), thing(box=right, more=more.format(8)))
    write(root, 6, thing(box=left, more=more.format(8)), thing(box=right, more=more.format(7)))
    assert [box[-1] for box in boxes_of(convert(root)[0])] == [1, 2, 2, 1]


def test_objects_without_a_track_are_linked(root):
    write(root, 5, thing(box=(1, 1, 9, 9)))
    write(root, 6, thing(box=(2, 1, 10, 9)))
    assert [box[-1] for box in boxes_of(convert(root)[0])] == [1, 1]


def test_images_may_lie_in_subfolders_beside_their_xml_files(tmp_path):
    write_images(tmp_path, ['cam1/f_0001.png', 'cam2/f_0001.png'])
    for name in ('cam1', 'cam2'):
        (tmp_path / name / 'f_0001.xml').write_text(FILE.format(filename='stale.png', objects=thing()))
    content, _ = converted(convert_voc, tmp_path, tmp_path, out=tmp_path / 'all.json')
    assert frames_of(content) == [('cam1/f_0001.png', 1), ('cam2/f_0001.png', 1)]
    assert [video['name'] for video in content['videos']] == ['cam1', 'cam2']


@pytest.mark.parametrize(('filename', 'objects', 'message'), [
    ('../000005.jpg', thing(), r'\.\./000005\.jpg'), ('C:\\x\\000005.jpg', thing(), 'names the file'),
    (None, '<object><bndbox/></object>', 'without a name'),
    (None, thing(box=('', 1, 2, 3)), "xmin is ''"), (None, thing('ant'), "label 'ant'"),
    (None, '<object><name>dog</name></object>', 'xmin is None'), (None, '', 'not one box')])
def test_a_file_that_cannot_be_understood_is_an_error(root, filename, objects, message):
    write(root, 5, objects, filename=filename)
    with pytest.raises(InputError, match=message):
        convert(root, classes=['dog'])


@pytest.mark.parametrize(('text', 'message'), [
    ('<annotations/>', '<annotations>'), ('<annotation>', 'cannot be read as XML'),
    (FILE.format(filename='000005.jpg', objects=thing()).replace('64</width>', '640</width>'), '640x48')])
def test_another_xml_file_is_an_error(root, text, message):
    write(root, 5)
    (root / 'Annotations' / '000005.xml').write_text(text)
    with pytest.raises(InputError, match=message):
        convert(root)


def test_an_xml_file_without_its_image_is_an_error(root):
    write(root, 7, thing())
    with pytest.raises(InputError, match='000007.jpg, which is not in'):
        convert(root)
