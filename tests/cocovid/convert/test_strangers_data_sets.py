"""Whatever value a file of a data set holds, its converter takes it or refuses it in a sentence."""

import copy
import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cocovid.convert import test_bdd100k, test_label_studio, test_tao, test_youtube_vis
from tests.cocovid.csv_folder import write_video
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.check import check_file
from tsm_det.cocovid.convert.bdd100k import convert_bdd100k
from tsm_det.cocovid.convert.darklabel import convert_darklabel
from tsm_det.cocovid.convert.kitti import convert_kitti
from tsm_det.cocovid.convert.label_studio import convert_label_studio
from tsm_det.cocovid.convert.tao import convert_tao
from tsm_det.cocovid.convert.visdrone import convert_visdrone
from tsm_det.cocovid.convert.youtube_vis import convert_youtube_vis
from tsm_det.errors import InputError

VIS = {'videos': [test_youtube_vis.VIDEO], 'annotations': [test_youtube_vis.TRACK],
       'categories': test_youtube_vis.CATEGORIES}
KEYS = [test_label_studio.key(2, 0), test_label_studio.key(6, 50, enabled=False)]
JSON = {'bdd100k': (convert_bdd100k, test_bdd100k.FRAMES), 'tao': (convert_tao, test_tao.CONTENT),
        'youtube-vis': (convert_youtube_vis, VIS),
        'label-studio': (convert_label_studio, [test_label_studio.task(test_label_studio.region(*KEYS))])}
VALUES = st.recursive(
    st.integers() | st.floats() | st.none() | st.booleans() | st.text(max_size=3) | st.sampled_from(
        [10 ** 400, -1, 1 << 63, 1e308, '../x', '/etc/passwd', '\0', 'a' * 300 + '1']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(['id', 'x', 'frames']), inner),
    max_leaves=5)


@pytest.fixture(scope='module')
def folder():
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), [f'{test_bdd100k.VIDEO}/{test_bdd100k.VIDEO}-{k:07d}.jpg' for k in (1, 2, 3)])
        write_images(Path(folder), test_youtube_vis.VIDEO['file_names'])
        write_images(Path(folder), [image['file_name'] for image in test_tao.CONTENT['images']])
        write_video(Path(folder, 'clip.mp4'), num_frames=8)
        yield Path(folder)


def places_in(value, path=()):
    """Paths of all values in nested lists and objects."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, each in inner for place in places_in(each, (*path, key))]


def changed(content, path, value):
    content = inner = copy.deepcopy(content)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return content


@pytest.mark.parametrize('name', JSON)
@settings(max_examples=60)
@given(data=st.data())
def test_any_value_in_a_json_file_is_taken_or_refused(folder, name, data):
    convert, content = JSON[name]
    path, value = data.draw(st.sampled_from(places_in(content))), data.draw(VALUES)
    (folder / 'in.json').write_text(json.dumps(changed(content, path, value)))
    with suppress(InputError):
        convert(folder / 'in.json', folder, folder / 'out.json')
        assert check_file(folder / 'out.json', folder).exit_status == 0


ROW = st.lists(st.sampled_from(['0', '1', '2', '-1', '5.5', 'Car', 'nan', 'inf', '1e308', '', '9' * 400, 'null']),
               min_size=4, max_size=18)


@settings(max_examples=60)
@given(st.lists(ROW, max_size=3))
def test_any_row_of_a_text_file_is_taken_or_refused(rows):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / 'sequences' / 'a', ['0000001.jpg', '0000002.jpg'])
        write_images(folder / 'image_02' / 'a', ['000000.png', '000001.png'])
        for part, separator in (('annotations', ','), ('label_02', ' ')):
            (folder / part).mkdir()
            (folder / part / 'a.txt').write_text('\n'.join(map(separator.join, rows)))
        for convert in (convert_visdrone, convert_kitti):
            with suppress(InputError):
                convert(folder, folder / 'out.json')


@settings(max_examples=30)
@given(st.lists(ROW, max_size=3))
def test_any_row_of_darklabel_is_taken_or_refused(folder, rows):
    (folder / 'clip.txt').write_text('\n'.join(map(','.join, rows)))
    for layout in (None, 'fn,cname,id,x1,y1,w,h', 'fn,n,[x1,y1,x2,y2]'):
        with suppress(InputError):
            convert_darklabel(folder, folder / 'out.json', layout)
