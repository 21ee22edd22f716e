"""Label files damaged at the level of bytes and tokens: a sound CocoVID file or one sentence, and nothing else."""

import json
import random
import re
import signal
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.cocovid.convert import (
    test_bdd100k,
    test_coco_frames,
    test_csv_videos,
    test_cvat,
    test_kitti,
    test_label_studio,
    test_mot,
    test_strangers_data_sets,
    test_strangers_files,
    test_tao,
    test_ua_detrac,
    test_voc,
    test_yolo,
    test_youtube_vis,
)
from tests.cocovid.csv_folder import write_video
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.check import check_file
from tsm_det.cocovid.convert.coco_frames import convert_coco_frames
from tsm_det.cocovid.convert.csv_videos import convert_csv_videos
from tsm_det.cocovid.convert.cvat import convert_cvat
from tsm_det.cocovid.convert.darklabel import convert_darklabel
from tsm_det.cocovid.convert.kitti import convert_kitti
from tsm_det.cocovid.convert.label_studio import convert_label_studio
from tsm_det.cocovid.convert.mot import convert_mot
from tsm_det.cocovid.convert.ua_detrac import convert_ua_detrac
from tsm_det.cocovid.convert.visdrone import convert_visdrone
from tsm_det.cocovid.convert.voc import convert_voc
from tsm_det.cocovid.convert.yolo import convert_yolo
from tsm_det.cocovid.select import select_frames
from tsm_det.errors import InputError

FILES_A_FORMAT, LIMIT_S = 250, 20
TOKENS = (b'nan', b'1e400', b'-1', b'9' * 5000, b'../x', b'../x.jpg', b'../x.mp4', b'/etc/passwd', b'', b'\0')
TOKEN = re.compile(rb'[^\s,;:<>="\'\[\]{}]+')


def cut(content, rng):
    return content[:rng.randrange(len(content))]


def flip(content, rng):
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 3, 30))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def replace(content, rng):
    token = rng.choice(list(TOKEN.finditer(content)))
    return content[:token.start()] + rng.choice(TOKENS) + content[token.end():]


def recode(content, rng):
    token, text = rng.choice(list(TOKEN.finditer(content))), content.decode()
    text = rng.choice((text, text[:token.start()] + 'ünï' + text[token.end():]))
    return text.encode(rng.choice(('utf-16', 'utf-16-le', 'utf-32', 'latin-1', 'utf-8-sig', 'cp037')))


def remove_line(content, rng):
    lines = content.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b''.join(lines)


def double_line(content, rng):
    lines = content.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    return b''.join([*lines[:place], lines[place], *lines[place:]])


DAMAGES = (cut, flip, replace, replace, recode, remove_line, double_line)


def csv_videos(folder):
    rows = ['0,bird,12,20,9,7,1', '2,drone,40,8,10,10,2', '5,bird,13,20,9,7,1']
    test_csv_videos.add(folder, 'clip', rows, header=f'{test_csv_videos.HEADER},track')
    return ['clip.csv'], partial(convert_csv_videos, folder)


def mot(folder):
    test_mot.add(folder, ['1,1,1,1,5,5,1,1,1', '2,1,2,1,5,5,1,1,1', '3,-1,9,9,5,5,0,2,1'])
    (folder / 'MOT17-02' / 'gt' / 'labels.txt').write_text('ant\nbee\n')
    return [f'MOT17-02/{name}' for name in ('gt/gt.txt', 'gt/gt.txt', 'gt/labels.txt', 'seqinfo.ini')], partial(
        convert_mot, folder)


def cvat(folder):
    write_video(folder / 'a.mp4')
    shapes = [test_cvat.track(test_cvat.box(0), test_cvat.box(3, outside=1)),
              test_cvat.track(test_cvat.box(2, occluded=1), number=1, label='ant')]
    test_cvat.write(folder, *shapes)
    (folder / 'a.xml').write_bytes((folder.parent / 'xml' / 'export.xml').read_bytes())
    return ['a.xml'], partial(convert_cvat, folder / 'a.xml', folder)


def json_file(convert, content, names, folder):
    """A format of one JSON file and images."""
    write_images(folder, names)
    (folder / 'in.json').write_text(json.dumps(content, indent=1))
    return ['in.json'], partial(convert, folder / 'in.json', folder)


def visdrone(folder):
    write_images(folder / 'sequences' / 'a', ['0000001.jpg', '0000002.jpg'])
    (folder / 'annotations').mkdir()
    (folder / 'annotations' / 'a.txt').write_text('1,4,10,20,5,6,1,4,0,0\n2,4,12,20,5,6,1,4,0,1\n2,0,1,1,9,9,0,0,0,0\n')
    return ['annotations/a.txt'], partial(convert_visdrone, folder)


def kitti(folder):
    write_images(folder / 'image_02' / 'a', ['000000.png', '000001.png', '000002.png'])
    (folder / 'label_02').mkdir()
    rows = [test_kitti.CAR.format(0, 12.5), test_kitti.CAR.format(2, 14), test_kitti.DONT_CARE, '']
    (folder / 'label_02' / 'a.txt').write_text('\n'.join(rows))
    return ['label_02/a.txt'], partial(convert_kitti, folder)


def ua_detrac(folder):
    write_images(folder / 'MVI_20011', [f'img{k:05d}.jpg' for k in (1, 2, 3)])
    (folder / 'MVI_20011.xml').write_text(test_ua_detrac.XML)
    return ['MVI_20011.xml'], partial(convert_ua_detrac, folder / 'MVI_20011.xml', folder)


def yolo(folder):
    write_images(folder / 'images', ['cam_000010.jpg', 'cam_000011.jpg'])
    (folder / 'labels').mkdir()
    (folder / 'labels' / 'cam_000010.txt').write_text(f'{test_yolo.ROW} 5\n1 0.5 0.25 1.0 0.5 6\n')
    (folder / 'data.yaml').write_text('path: ../somewhere\ntrain: images/train\nnc: 2\nnames: [bird, drone]\n')
    return ['labels/cam_000010.txt', 'data.yaml'], partial(convert_yolo, folder)


def voc(folder):
    write_images(folder / 'JPEGImages', ['000005.jpg', '000006.jpg'])
    test_voc.write(folder, 5, test_voc.thing(), test_voc.thing('cat', (11, 21, 15, 26), 1))
    test_voc.write(folder, 6, test_voc.thing(box=(2, 2, 9, 9)))
    path = folder / 'Annotations' / '000005.xml'
    path.write_text(path.read_text().replace('><', '>\n<'))
    return ['Annotations/000005.xml'], partial(convert_voc, folder / 'Annotations', folder / 'JPEGImages')


def label_studio(folder):
    write_video(folder / 'clip.mp4', num_frames=8)
    tasks = [test_label_studio.task(test_label_studio.region(*test_strangers_data_sets.KEYS))]
    return json_file(convert_label_studio, tasks, [], folder)


def darklabel(folder):
    write_video(folder / 'clip.mp4', num_frames=4)
    (folder / 'clip.txt').write_text('0,person,3,40,20,5,6\n2,person,3,41,20,5,6\n2,car,4,1,2,30,9\n')
    return ['clip.txt'], partial(convert_darklabel, folder)


def coco_vid(folder):
    write_images(folder, [image['file_name'] for image in test_strangers_files.SOUND['images']])
    (folder / 'in.json').write_text(json.dumps(test_strangers_files.SOUND, indent=1))
    return ['in.json'], partial(selected, folder / 'in.json')


def selected(file, out):
    """A copy of a CocoVID file without a problem; what a check finds is a sentence too."""
    report = check_file(file)
    if problems := report.problems:
        raise InputError(str(problems[0]))
    select_frames(file, out)


CONTENT = {
    'coco-frames': (convert_coco_frames, test_coco_frames.coco(
        ['cam_1.jpg', 'cam_2.jpg'], [(0, [1, 1, 4, 4], {'track_id': 3, 'iscrowd': 0}), (1, [1, 1, 4, 4], {})])),
    **test_strangers_data_sets.JSON}
NAMES = {
    'coco-frames': ['cam_1.jpg', 'cam_2.jpg'], 'youtube-vis': test_youtube_vis.VIDEO['file_names'],
    'bdd100k': [f'{test_bdd100k.VIDEO}/{frame["name"]}' for frame in test_bdd100k.FRAMES],
    'tao': [image['file_name'] for image in test_tao.CONTENT['images']]}
FORMATS = {
    'csv-videos': csv_videos, 'mot': mot, 'cvat': cvat, 'visdrone': visdrone, 'kitti': kitti, 'ua-detrac': ua_detrac,
    'yolo': yolo, 'voc': voc, 'label-studio': label_studio, 'darklabel': darklabel, 'CocoVID': coco_vid,
    **{name: partial(json_file, *CONTENT[name], NAMES[name]) for name in NAMES}}


class Opened:
    """The files outside a folder that Python opens, among those that damaged files lead to."""

    def __init__(self):
        self.folder, self.outside = None, []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if event == 'open' and self.folder and isinstance(arguments[0], str):
            path = Path(arguments[0])
            lies_beside = self.folder.parent in path.parents and path != self.folder and self.folder not in path.parents
            if lies_beside or str(path) == '/etc/passwd':
                self.outside.append(path)


@pytest.fixture(scope='module')
def opened():
    return Opened()


@pytest.fixture
def in_time():
    def end(*_):
        raise TimeoutError(f'no end within {LIMIT_S} s')
    before = signal.signal(signal.SIGALRM, end)
    yield lambda: signal.alarm(LIMIT_S)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize('name', FORMATS)
def test_a_damaged_label_file_gives_a_sound_file_or_one_sentence(name, tmp_path, opened, in_time):
    folder = tmp_path / 'inside'
    folder.mkdir()
    write_images(tmp_path, ['x.jpg'])
    write_video(tmp_path / 'x.mp4')
    files, convert = FORMATS[name](folder)
    out, rng, outcomes = folder / 'out' / 'all.json', random.Random(name), Counter()
    (folder / 'out').mkdir()
    images = next(iter(convert.args[1:]), folder)
    convert(out)
    assert check_file(out, images).exit_status == 0
    for k in range(FILES_A_FORMAT):
        path, damage = folder / rng.choice(files), DAMAGES[k % len(DAMAGES)]
        sound = path.read_bytes()
        path.write_bytes(damaged := damage(sound, rng))
        out.unlink(missing_ok=True)
        in_time()
        opened.folder = folder
        try:
            convert(out)
            report = check_file(out, images)
            assert report.exit_status == 0, f'{damage.__name__} {damaged[:2000]!r}: {report.problems[0]}'
            outcome = 'converted'
        except InputError as error:
            assert len(str(error).splitlines()) == 1, f'{damage.__name__} {damaged[:2000]!r}: {error}'
            outcome = 'refused'
        except Exception as error:
            raise AssertionError(f'{damage.__name__} {damaged[:2000]!r}') from error
        finally:
            opened.folder = None
            path.write_bytes(sound)
        assert not opened.outside, f'{damage.__name__} {damaged[:2000]!r}'
        outcomes[f'{damage.__name__}: {outcome}'] += 1
    print(f'\n{name}: {dict(sorted(outcomes.items()))}')
