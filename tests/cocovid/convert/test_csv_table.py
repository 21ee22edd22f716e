"""Tables of boxes may have any separator and the usual other names of columns."""

import pytest

from tsm_det.cocovid.convert.csv_table import read_table
from tsm_det.errors import InputError
from tsm_det.video.csv_rows import write_csv

BOX = (10.0, 20.0, 4.0, 5.0)


def read(tmp_path, text):
    (tmp_path / 'a.csv').write_bytes(text.encode())
    return [row[1:] for row in read_table(tmp_path / 'a.csv')]


@pytest.mark.parametrize('separator', [',', ';', '\t', '|', ' ; '])
def test_the_separator_is_that_of_the_first_line(tmp_path, separator):
    text = '\n'.join(separator.join(row.split()) for row in ('frame label x y width height', '3 bird 10 20 4 5', ''))
    assert read(tmp_path, text) == [(3, 'bird', BOX, None)]


@pytest.mark.parametrize(('header', 'row'), [
    ('Frame_ID,Class Name,Left,Top,W,H,Track-ID', '3,bird,10,20,4,5,7'),
    ('frame_number,category,xmin,ymin,xmax,ymax,object_id', '3,bird,10,20,14,25,7'),
    ('id,frame,x1,y1,x2,y2,name,conf', '7,3,10,20,14,25,bird,0.9'),
    ('frame,track,id,class,label,bbox_x,bbox_y,bbox_w,bbox_h', '3,7,99,0,bird,10,20,4,5'),
    ('filename,width,height,class,xmin,ymin,xmax,ymax,id', 'clip_0003.jpg,640,480,bird,10,20,14,25,7'),
    ('id,frame,frame_name,image_id,filename,track_id,class,x,y,w,h', '1,3,a,b,c,7,bird,10,20,4,5'),
    ('image,label,x,y,width,height,track', '..\\frames\\000003.png,bird,10,20,4,5,7'),
    ('image_id,label,x,y,width,height,track', '3,bird,10,20,4,5,7'),
    ('image;frame;label;x;y;width;height;track', 'a.jpg;3;bird;10,0;20;4;5;7')])
def test_columns_have_the_usual_other_names(tmp_path, header, row):
    assert read(tmp_path, f'{header}\r\n{row}\r\n') == [(3, 'bird', BOX, '7')]


@pytest.mark.parametrize('track', [None, 7])
def test_an_export_of_this_package_is_a_table(tmp_path, track):
    box = {'class': 'bird', 'label': 0, 'score': 0.5, 'bbox': [10.0, 20.0, 14.0, 25.0]} | (
        {} if track is None else {'track_id': track})
    write_csv([{'stream': 'yard', 'frame_id': k, 'time_s': k / 25, 'detections': [box]} for k in (3, 4)],
              tmp_path / 'a.csv')
    assert [row[1:] for row in read_table(tmp_path / 'a.csv')] == [(k, 'bird', BOX, track and '7') for k in (3, 4)]


@pytest.mark.parametrize('suffix', ['.png', ''])
@pytest.mark.parametrize('boxes', [1, 2])
@pytest.mark.parametrize('times', [[f'{0.96 + k * 0.04:.2f}' for k in range(5)], ['0.5', '1.5', '2.5'],
                                   ['2024-01-01_10-00-00', '2024-01-01_10-00-01'],
                                   ['cam_1305031102.0999', 'cam_1305031102.1332']])
def test_an_image_name_that_is_a_time_is_not_read_as_a_frame_number(tmp_path, times, boxes, suffix):
    rows = [f'{time}{suffix},bird,10,20,4,5\n' for time in times for _ in range(boxes)]
    with pytest.raises(InputError, match='name is a time: add a column "frame"'):
        read(tmp_path, 'image,label,x,y,width,height\n' + ''.join(rows))


@pytest.mark.parametrize('images', [
    ['f\\a_3.jpg', 'f/a_3.jpg', './f/a_4.jpg'], ['cam1.0003', 'cam1.0003', 'cam1.0004'], ['3', '03', '4'],
    ['3.0', '3.0', '4.0'], ['a-0003_jpg.rf.d2c1.jpg', 'a-0003_jpg.rf.d2c1.jpg', 'a-0004_jpg.rf.aaaa.jpg']])
def test_rows_of_one_image_are_of_one_frame(tmp_path, images):
    rows = [f'{image},bird,10,20,4,5\n' for image in images]
    assert [row[0] for row in read(tmp_path, 'image,label,x,y,width,height\n' + ''.join(rows))] == [3, 3, 4]


@pytest.mark.parametrize(('column', 'values'), [
    ('image', ['a_1.jpg', 'b_2.jpg']), ('image', ['v1/1.jpg', 'v2/2.jpg']),
    ('image', ['a-0001_jpg.rf.12.jpg', 'a-0001_jpg.rf.ab.jpg']),
    ('frame,stream', ['0,yard', '1,gate']), ('frame,video,video_id', ['0,a,1', '1,a,2']),
    ('frame,filename', ['0,a.mp4', '1,b.mp4']), ('frame,recording', ['0,a.mp4', '1,b.mp4'])])
def test_rows_of_several_videos_are_refused(tmp_path, column, values):
    rows = [f'{value},bird,10,20,4,5\n' for value in values]
    with pytest.raises(InputError, match='give each video a CSV file of its own'):
        read(tmp_path, f'{column},label,x,y,width,height\n' + ''.join(rows))


def test_a_column_of_one_video_or_none_is_ignored(tmp_path):
    assert len(read(tmp_path, 'video,frame,label,x,y,w,h\na.mp4,0,b,1,1,4,4\n,1,b,1,1,4,4\n')) == 2


def test_a_decimal_comma_needs_semicolons(tmp_path):
    assert read(tmp_path, 'frame;label;x;y;width;height\n3;bird;10,5;20;4;5,25\n')[0][2] == (10.5, 20, 4, 5.25)
    with pytest.raises(InputError, match="x is '10,5'"):
        read(tmp_path, 'frame\tlabel\tx\ty\twidth\theight\n3\tbird\t10,5\t20\t4\t5\n')


@pytest.mark.parametrize(('text', 'message'), [
    ('frame,class,category,x,y,w,h\n', 'class, category, which may all be the label'),
    ('frame_id,frame_number,label,x,y,w,h\n', 'may all be the frame'), ('frame,label,x,y,x,w,h\n', 'may all be the x'),
    ('frame,label,x,y,xmax,w,h\n', 'no column bottom'), ('frame,label,xc,yc,w,h\n', 'no column x, y, only frame'),
    ('label,x,y,w,h\n', 'no column frame'),
    ('image,label,x,y,w,h\nclip.jpg,bird,1,1,4,4\n', "'clip.jpg', whose name does not end"),
    ('file,label,x,y,w,h\nclip1.mp4,bird,1,1,4,4\n', "'clip1.mp4', whose name does not end"),
    ('image,label,x,y,w,h\n,bird,1,1,4,4\n', "line 2 has the image '', whose name does not end"),
    ('id,frame,label,x,y,w,h\n1,0,b,1,1,4,4\n2,0,b,9,9,4,4\n3,1,b,1,1,4,4\n', 'another id in every row'),
    ('0,bird,10,20,4,5\n', 'no column frame')])
def test_what_could_be_understood_in_two_ways_is_an_error(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)
