"""Sequences of UA-DETRAC become a CocoVID file."""

import pytest

from tests.cocovid.converted import boxes_of, converted, frames_of, ignored_of
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.ua_detrac import convert_ua_detrac
from tsm_det.errors import InputError

XML = '''<?xml version="1.0" encoding="utf-8"?>
<sequence name="MVI_20011">
   <sequence_attribute camera_state="unstable" sence_weather="sunny"/>
   <ignored_region>
      <box left="40.5" top="2" width="20" height="10"/>
   </ignored_region>
   <frame density="2" num="1">
      <target_list>
         <target id="1">
            <box left="10.75" top="20.5" width="5.25" height="6"/>
            <attribute orientation="18.488" speed="6.859" truncation_ratio="0.1" vehicle_type="car"/>
         </target>
         <target id="2">
            <box left="30" top="30" width="40" height="10"/>
            <attribute vehicle_type="van"/>
            <occlusion>
               <region_overlap occlusion_id="1" occlusion_status="0" left="31" top="31" width="3" height="3"/>
            </occlusion>
         </target>
      </target_list>
   </frame>
   <frame density="1" num="3">
      <target_list>
         <target id="1">
            <box left="12" top="20.5" width="5" height="6"/>
            <attribute vehicle_type="car"/>
         </target>
      </target_list>
   </frame>
</sequence>
'''


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / 'images' / 'MVI_20011', [f'img{k:05d}.jpg' for k in (1, 2, 3)])
    return tmp_path


def convert(root, text=XML, **options):
    (root / 'xml').mkdir(exist_ok=True)
    (root / 'xml' / 'MVI_20011.xml').write_text(text)
    return converted(convert_ua_detrac, root / 'xml', root / 'images', out=root / 'all.json', **options)


def test_frames_count_from_1_and_classes_are_vehicle_types(root):
    content, report = convert(root)
    assert frames_of(content) == [(f'MVI_20011/img0000{k}.jpg', k - 1) for k in (1, 2, 3)]
    assert [box[:4] for box in boxes_of(content)] == [
        ('MVI_20011', 0, 'car', [10.75, 20.5, 5.25, 6]), ('MVI_20011', 0, 'van', [30, 30, 34, 10]),
        ('MVI_20011', 2, 'car', [12, 20.5, 5, 6])]
    tracks = [box[-1] for box in boxes_of(content)]
    assert tracks[0] == tracks[2] != tracks[1]
    assert [box['occluded'] for box in content['annotations'] if not box['iscrowd']] == [False, True, False]
    assert report.clipped == 1


def test_an_ignored_region_holds_in_every_frame_for_every_class(root):
    content, _ = convert(root)
    assert ignored_of(content) == [('MVI_20011', frame, label, [40.5, 2, 20, 10])
                                   for frame in range(3) for label in ('car', 'van')]


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('<sequence ', '<annotation ', 'mismatched tag'), ('vehicle_type="van"', '', 'line 13.*vehicle_type'),
    ('num="3"', 'num="x"', "num is 'x'"), ('width="5.25"', '', 'width is None'),
    ('name="MVI_20011"', 'name="../images/MVI_20011"', r'\.\./images'), ('name="MVI_20011"', 'name="/etc"', '/etc'),
    ('name="MVI_20011"', 'name="MVI_1"', 'MVI_1 is not a folder')])
def test_a_file_that_cannot_be_understood_is_an_error(root, old, new, message):
    with pytest.raises(InputError, match=message):
        convert(root, XML.replace(old, new, 1))


def test_another_xml_file_is_an_error(root):
    with pytest.raises(InputError, match='<annotations>'):
        convert(root, '<annotations/>')
