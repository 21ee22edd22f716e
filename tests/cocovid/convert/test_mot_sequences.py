"""Rows of MOTChallenge's kind beside a video file."""

import pytest

from tests.cocovid.converted import boxes_of, converted
from tests.cocovid.csv_folder import write_video
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.mot import convert_mot
from tsm_det.errors import InputError

ROWS = '1,4,11,21,5,6,1,1,1\n3,4,12,21,5,6,1,1,1\n'


def add(folder, video='clip.mp4', rows='gt.txt', text=ROWS):
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / video, num_frames=3)
    (folder / rows).parent.mkdir(exist_ok=True)
    (folder / rows).write_text(text)


def convert(root, **options):
    return converted(convert_mot, root, out=root.parent / 'all.json', **{'classes': ['bird'], **options})


@pytest.mark.parametrize('rows', ['gt.txt', 'gt/gt.txt', 'clip.txt', 'clip_gt.txt'])
def test_rows_may_lie_beside_a_video(tmp_path, rows):
    add(tmp_path / 'a', rows=rows)
    content, _ = convert(tmp_path / 'a')
    assert [(image['file_name'], image['frame_id'], image['frame_in_file']) for image in content['images']] == [
        ('clip.mp4', k, k) for k in range(3)]
    assert boxes_of(content) == [('clip', 0, 'bird', [10, 20, 5, 6], 1), ('clip', 2, 'bird', [11, 20, 5, 6], 1)]


def test_a_row_of_frame_0_shows_that_rows_count_from_0(tmp_path):
    add(tmp_path / 'a', text='0,4,11,21,5,6,1,1,1\n')
    assert boxes_of(convert(tmp_path / 'a')[0])[0][1] == 0


def test_a_folder_may_have_several_videos_or_folders_of_videos_and_images(tmp_path):
    add(tmp_path / 'a' / 'x', 'one.mp4', 'gt.txt')
    write_images(tmp_path / 'a' / 'y' / 'img1', ['000001.jpg', '000002.jpg', '000003.jpg'])
    (tmp_path / 'a' / 'y' / 'gt').mkdir()
    (tmp_path / 'a' / 'y' / 'gt' / 'gt.txt').write_text(ROWS)
    add(tmp_path / 'b', 'one.mp4', 'one.txt')
    add(tmp_path / 'b', 'two.mp4', 'two.txt')
    names = [[image['file_name'] for image in convert(tmp_path / name)[0]['images']][::3] for name in 'ab']
    assert names == [['x/one.mp4', 'y/img1/000001.jpg'], ['one.mp4', 'two.mp4']]


def test_labels_beside_the_rows_name_the_classes(tmp_path):
    add(tmp_path / 'a')
    (tmp_path / 'a' / 'labels.txt').write_text('ant\nbee\n')
    assert boxes_of(convert(tmp_path / 'a', classes=None)[0])[0][2] == 'ant'


def test_rows_beside_several_videos_are_an_error(tmp_path):
    add(tmp_path, 'one.mp4')
    add(tmp_path, 'two.mp4')
    with pytest.raises(InputError, match='2 videos'):
        convert(tmp_path)


@pytest.mark.parametrize('name', ['../a/img1', '/etc', 'C:\\img1'])
def test_the_folder_of_images_stays_inside_the_sequence(tmp_path, name):
    write_images(tmp_path / 'a' / 'img1', ['000001.jpg'])
    (tmp_path / 'a' / 'gt.txt').write_text(ROWS)
    (tmp_path / 'a' / 'seqinfo.ini').write_text(f'[Sequence]\nimDir={name}\n')
    with pytest.raises(InputError, match='inside the folder'):
        convert(tmp_path / 'a')


def test_a_video_without_rows_is_an_error(tmp_path):
    add(tmp_path / 'a' / 'x')
    write_video(tmp_path / 'a' / 'z.mp4')
    with pytest.raises(InputError, match='no TXT file for the video z'):
        convert(tmp_path / 'a')
    (tmp_path / 'a' / 'z.mp4').unlink()
    (tmp_path / 'a' / 'y').mkdir()
    write_video(tmp_path / 'a' / 'y' / 'z.mp4')
    with pytest.raises(InputError, match=r'y has no gt'):
        convert(tmp_path / 'a')
