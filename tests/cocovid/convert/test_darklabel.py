"""Videos labelled in DarkLabel become a CocoVID file."""

import pytest

from tests.cocovid.converted import boxes_of, converted
from tests.cocovid.csv_folder import write_video
from tsm_det.cocovid.convert.darklabel import convert_darklabel
from tsm_det.errors import InputError


@pytest.fixture
def folder(tmp_path):
    write_video(tmp_path / 'clip.mp4', num_frames=4)
    return tmp_path


def convert(folder, *rows, name='clip.txt', **options):
    (folder / name).write_text('\n'.join([*rows, '']))
    return converted(convert_darklabel, folder, out=folder / 'all.json', **options)


TWO = [('clip', 0, 'person', [40, 20, 5, 6], 1), ('clip', 2, 'person', [41, 20, 5, 6], 1),
       ('clip', 2, 'car', [1, 2, 30, 9], 2)]


@pytest.mark.parametrize('rows', [
    ['0,person,3,40,20,5,6', '2,person,3,41,20,5,6', '2,car,4,1,2,30,9'],
    ['0,1,3,40,20,5,6,person', '1,0', '2,2,3,41,20,5,6,person,4,1,2,30,9,car'],
    ['0,1,3,40,20,45,26,person', '2,2,3,41,20,46,26,person,4,1,2,31,11,car'],
    ['0,1,3,40,20,45,26,person,', '2,2,3,41,20,46,26,person,4,1,2,31,11,car,']])
def test_the_layout_is_the_one_that_fits(folder, rows):
    assert boxes_of(convert(folder, *rows)[0]) == TWO


def test_a_row_one_beyond_the_end_shows_that_frames_count_from_1(folder):
    content, _ = convert(folder, '1,person,3,40,20,5,6', '4,person,3,41,20,5,6')
    assert [box[1] for box in boxes_of(content)] == [0, 3]


@pytest.mark.parametrize(('layout', 'row'), [
    ('fn,cname,id,x1,y1,x2,y2', '1,bee,0,10,20,30,40'), ('[fn, cname, id, x1, y1, x2, y2]', '1,bee,0,10,20,30,40'),
    ('fn,id,cx,cy,w,h,cname', '1,0,20,30,20,20,bee'), ('fn n [id x1 y1 x2 y2 cname]', '1,1,0,10,20,30,40,bee')])
def test_the_layout_may_be_given_as_in_darklabel_yml(folder, layout, row):
    assert boxes_of(convert(folder, row, layout=layout)[0]) == [('clip', 1, 'bee', [10, 20, 20, 20], 1)]


@pytest.mark.parametrize('row', ['1,5,40,20,5,6', '1,5,40,20,5,6,-1,-1,-1,-1', '1,1,5,40,20,5,6,null'])
def test_without_a_class_there_is_one(folder, row):
    assert [box[1:4] for box in boxes_of(convert(folder, row)[0])] == [(1, 'object', [40, 20, 5, 6])]


def test_the_only_class_may_be_named(folder):
    content, _ = convert(folder, '1,5,40,20,5,6', classes=['bird'])
    assert [box[2] for box in boxes_of(content)] == ['bird']


def test_the_text_file_may_end_in_gt_and_others_are_left_alone(folder):
    (folder / 'README.txt').write_text('hello')
    assert convert(folder, '0,person,3,40,20,5,6', name='clip_gt.txt')[1].boxes == {'person': 1}


def test_difficult_boxes_are_ignored(folder):
    content, _ = convert(folder, '0,bee,0,1,1,9,9', '0,bee,1,1,1,9,9', layout='fn,cname,difficult,x1,y1,w,h')
    assert [box['iscrowd'] for box in content['annotations']] == [0, 1]


@pytest.mark.parametrize(('row', 'options', 'message'), [
    ('0,1,3,5,5,10,10,person', {}, 'that 2 known layouts fit'), ('0,person', {}, 'that 0 known layouts fit'),
    ('0,person,3,40,20,5,6', {'layout': 'fn,cname'}, "layout 'fn,cname' cannot"),
    ('0,person,3,40,20,5,6', {'layout': 'fn,name,id,x1,y1,w,h'}, 'cannot be read'),
    ('0,person,3,40,20,5', {'layout': 'fn,cname,id,x1,y1,w,h'}, 'line 1 has 6 values'),
    ('x,person,3,40,20,5,6', {'layout': 'fn,cname,id,x1,y1,w,h'}, "fn is 'x'"),
    ('0,99999999999,3,40,20,5,6', {'layout': 'fn,n,[id,x1,y1,w,h]'}, 'line 1'),
    ('0,person,3,40,20,5,6', {'classes': ['car']}, "label 'person'"), ('', {'layout': 'fn,x1,y1,w,h'}, 'no box')])
def test_a_file_that_cannot_be_understood_is_an_error(folder, row, options, message):
    with pytest.raises(InputError, match=message):
        convert(folder, row, **options)


def test_a_video_or_text_file_without_its_partner_is_an_error(folder):
    with pytest.raises(InputError, match='no TXT file for the video clip'):
        convert_darklabel(folder, folder / 'all.json')
    (folder / 'other.txt').write_text('')
    with pytest.raises(InputError, match=r'no video for other\.txt'):
        convert(folder, '0,person,3,40,20,5,6')
