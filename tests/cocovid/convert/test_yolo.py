"""Frames with text files of YOLO become a CocoVID file."""

import pytest

from tests.cocovid.converted import boxes_of, converted, frames_of
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.yolo import convert_yolo
from tsm_det.errors import InputError

# 64x48 px: cx 0.25 and width 0.125 are left 12 and width 8; cy 0.5 and height 0.25 are top 18 and height 12.
ROW = '0 0.25 0.5 0.125 0.25'


def write(root, name, *rows):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text('\n'.join([*rows, '']))


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / 'images' / 'train', ['cam1_000010.jpg', 'cam1_000011.jpg', 'cam2_000001.jpg'])
    write(tmp_path, 'labels/train/cam1_000010.txt', ROW)
    write(tmp_path, 'labels/train/cam2_000001.txt')
    write(tmp_path, 'data.yaml', 'path: ../somewhere', 'train: images/train', 'nc: 2', 'names: [bird, drone]')
    return tmp_path


def convert(root, **options):
    return converted(convert_yolo, root, out=root / 'all.json', **options)


def test_shares_become_px_and_numbers_of_images_frame_ids(root):
    write(root, 'labels/train/cam1_000011.txt', ROW, '1 0.5 0.25 1.0 0.5')
    content, _ = convert(root)
    assert frames_of(content) == [('images/train/cam1_000010.jpg', 10), ('images/train/cam1_000011.jpg', 11),
                                  ('images/train/cam2_000001.jpg', 1)]
    assert boxes_of(content) == [('images/train/cam1', 10, 'bird', [12, 18, 8, 12], 1),
                                 ('images/train/cam1', 11, 'bird', [12, 18, 8, 12], 1),
                                 ('images/train/cam1', 11, 'drone', [0, 0, 64, 24], 2)]


def test_an_image_without_text_file_is_empty_and_counted(root):
    _, report = convert(root)
    assert (report.frames, list(report.left_out.values())) == (3, [1])


def test_frames_without_a_box_may_be_left_out(root):
    assert frames_of(convert(root, labelled_frames_only=True)[0]) == [('images/train/cam1_000010.jpg', 10)]


def test_a_sixth_value_is_the_track(root):
    write(root, 'labels/train/cam1_000010.txt', f'{ROW} 5', '0 0.75 0.5 0.125 0.25 8')
    write(root, 'labels/train/cam1_000011.txt', f'{ROW} 8', '0 0.75 0.5 0.125 0.25 5')
    assert [box[-1] for box in boxes_of(convert(root)[0])] == [1, 2, 2, 1]


@pytest.mark.parametrize(('name', 'text'), [
    ('data.yaml', 'names:\n  0: ant\n  1: bee\n'), ('data.yaml', 'names: ["ant", "bee"]'),
    ('data.yaml', 'names: {"0": ant, 1: bee}'), ('classes.txt', 'ant\nbee\n'),
    ('obj.names', 'ant\r\nbee\r\n'), ('labels/classes.txt', 'ant\nbee\n')])
def test_names_come_from_the_usual_files(root, name, text):
    (root / 'data.yaml').unlink()
    (root / name).write_text(text)
    assert [(item['id'], item['name']) for item in convert(root)[0]['categories']] == [(1, 'ant'), (2, 'bee')]
    assert convert(root, classes=['cat', 'dog', 'elk'])[0]['categories'][2]['name'] == 'elk'


@pytest.mark.parametrize('folder', ['obj_train_data', '.'])
def test_text_files_may_lie_beside_the_images(tmp_path, folder):
    write_images(tmp_path / folder, ['frame_000000.PNG', 'frame_000001.PNG'])
    write(tmp_path, f'{folder}/frame_000001.txt', ROW)
    write(tmp_path, 'obj.names', 'bird')
    write(tmp_path, 'train.txt', f'{folder}/frame_000000.PNG')
    content, _ = convert(tmp_path)
    assert [box[1:4] for box in boxes_of(content)] == [(1, 'bird', [12, 18, 8, 12])]


@pytest.mark.parametrize(('row', 'message'), [
    ('2 0.5 0.5 0.1 0.1', 'class 2 but there are names for 0 to 1'), ('0 0.5 0.5 0.1', '4 values'),
    ('0 320 240 10 10', 'shares of the'), ('0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2', 'not polygons'),
    ('0 0.5 0.5 0.1 0.1 0.87', "track .* is '0.87'"), ('bird 0.5 0.5 0.1 0.1', "class is 'bird'"),
    ('0,0.5,0.5,0.1,0.1', '1 values')])
def test_a_row_that_cannot_be_understood_is_an_error(root, row, message):
    write(root, 'labels/train/cam1_000010.txt', row)
    with pytest.raises(InputError, match=message):
        convert(root)


@pytest.mark.parametrize('text', [
    'names: 3', 'names: {0: ant, 2: bee}', 'names: [ant, [bee]]', 'names: [ant, ]]', 'names: [ant, ""]', 'nc: 2', '[',
    '', '[' * 10_000])
def test_a_yaml_file_without_names_is_an_error(root, text):
    (root / 'data.yaml').write_text(text)
    with pytest.raises(InputError, match=r'data\.yaml'):
        convert(root)


@pytest.mark.parametrize('name', ['no', '1e3', '2026-01-01', '2026-13-99', '9' * 5000, '0x' + 'f' * 5000])
def test_a_class_may_have_any_name(root, name):
    (root / 'data.yaml').write_text(f'names: [{name}]')
    assert [item['name'] for item in convert(root)[0]['categories']] == [name]


def test_names_are_asked_for(root):
    (root / 'data.yaml').unlink()
    with pytest.raises(InputError, match='--classes'):
        convert(root)


def test_a_text_file_without_its_image_is_an_error(root):
    write(root, 'labels/train/cam9_000010.txt', ROW)
    with pytest.raises(InputError, match=r'cam9_000010\.txt has no image'):
        convert(root)


def test_a_folder_without_boxes_or_images_is_an_error(root, tmp_path_factory):
    write(root, 'labels/train/cam1_000010.txt')
    with pytest.raises(InputError, match='not one box'):
        convert(root)
    with pytest.raises(InputError, match='no image'):
        convert(tmp_path_factory.mktemp('empty'), classes=['bird'])
