"""Detections in the formats of other tools, read back by readers of their own."""

import csv
import json
import os
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from tsm_det.cocovid.convert.cvat import convert_cvat
from tsm_det.cocovid.read import COCO_VID, read_coco_vid
from tsm_det.errors import InputError
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.cvat_tracks import write_cvat
from tsm_det.video.exports import Exports, ExportSink

CLASSES = ('cat', 'dog & "son"')
IMAGE = np.zeros((48, 64, 3), np.uint8)


def box(left, label=0, track_id=None, **more):
    found = {'bbox': [left, 2.0, left + 10.25, 12.5], 'score': 0.75, 'label': label, 'class': CLASSES[label], **more}
    return found if track_id is None else {**found, 'track_id': track_id}


def source(name, files=(), num_frames=None):
    return SimpleNamespace(name=name, files=[str(file) for file in files], num_frames=num_frames)


# Of two streams, with a stride of 2: by frame id the detections.
FRAMES = {
    'road.mp4': {0: [box(1.5, 0, 1), box(30, 1)], 2: [], 4: [box(5, 0, 1), box(20, 1, 2, predicted=True)]},
    'gate': {0: [box(7, 0, 1)], 2: [box(9, 0, 1)], 4: []}}


@pytest.fixture
def sources(video_file):
    return [source('road.mp4', [video_file('road.mp4', n=9)], 9), source('gate')]


def write(exports, sources, frames=FRAMES, last=None, **keys):
    """Write frames after ``last``, alternating between the streams."""
    with ExportSink(exports, sources, CLASSES, last, **keys) as sink:
        for frame_id in sorted({k for its in frames.values() for k in its}):
            for one in sources:
                if frame_id > (last or {}).get(one.name, -1) and frame_id in frames[one.name]:
                    sink.write(StreamFrame(one.name, frame_id, frame_id / 25, IMAGE), None, frames[one.name][frame_id])


def everything(folder):
    return Exports(f'{folder}/mot', f'{folder}/coco.json', f'{folder}/table.csv', f'{folder}/cvat/')


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def detections(frames):
    return [(stream, k, found) for stream, its in frames.items() for k, boxes in its.items() for found in boxes]


def test_mot_files_have_one_row_per_detection(sources, tmp_path):
    write(Exports(mot=str(tmp_path / 'mot')), sources)
    assert sorted(os.listdir(tmp_path / 'mot')) == ['gate.txt', 'labels.txt', 'road.txt']
    assert (tmp_path / 'mot' / 'labels.txt').read_text().splitlines() == list(CLASSES)
    rows = np.loadtxt(tmp_path / 'mot' / 'road.txt', delimiter=',')
    np.testing.assert_allclose(rows, [
        [1, 1, 2.5, 3, 10.25, 10.5, 0.75, 1, 1], [1, -1, 31, 3, 10.25, 10.5, 0.75, 2, 1],
        [5, 1, 6, 3, 10.25, 10.5, 0.75, 1, 1], [5, 2, 21, 3, 10.25, 10.5, 0.75, 2, 0]])


def test_the_table_has_one_row_per_detection(sources, tmp_path):
    write(Exports(csv=str(tmp_path / 'table.csv')), sources)
    with open(tmp_path / 'table.csv', newline='') as file:
        rows = [{**row, 'corners': [float(row[key]) for key in ('x1', 'y1', 'x2', 'y2')]}
                for row in csv.DictReader(file)]
    found = [(row['stream'], int(row['frame_id']), {
        'bbox': row['corners'], 'score': float(row['score']), 'label': int(row['class_id']), 'class': row['class'],
        **({'track_id': int(row['track_id'])} if row['track_id'] else {}),
        **({'predicted': True} if row['predicted'] == '1' else {})}) for row in rows]
    assert sorted(found, key=str) == sorted(detections(FRAMES), key=str)
    assert {float(row['time_s']) * 25 for row in rows} == {0, 2, 4}


def test_the_coco_file_is_a_data_set_of_coco_and_of_cocovid(sources, tmp_path):
    write(Exports(coco=str(tmp_path / 'coco.json')), sources)
    coco, content = COCO(str(tmp_path / 'coco.json')), read_coco_vid(tmp_path / 'coco.json', COCO_VID)
    assert [one['name'] for one in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    images = coco.loadImgs(coco.getImgIds())
    names = {video['id']: video['name'] for video in content['videos']}
    assert sorted((names[one['video_id']], one['frame_id']) for one in images) == sorted(
        (stream, k) for stream, its in FRAMES.items() for k in its)
    assert {(one['width'], one['height']) for one in images} == {(64, 48)}
    found, instances = [], {}
    for one in images:
        for annotation in coco.loadAnns(coco.getAnnIds(one['id'])):
            left, top, width, height = annotation['bbox']
            assert annotation['area'] == pytest.approx(width * height)
            if 'instance_id' in annotation:
                instances.setdefault(annotation['instance_id'], set()).add((one['video_id'], annotation['track_id']))
            found.append((names[one['video_id']], one['frame_id'], {
                'bbox': [left, top, left + width, top + height], 'label': annotation['category_id'] - 1,
                'class': CLASSES[annotation['category_id'] - 1],
                **{key: annotation[key] for key in ('score', 'track_id', 'predicted') if key in annotation}}))
    assert sorted(found, key=key) == sorted(detections(FRAMES), key=key)
    assert sorted(instances) == [1, 2, 3] and all(len(tracks) == 1 for tracks in instances.values())


def key(detection):
    return json.dumps(detection, sort_keys=True)


def test_the_pictures_of_a_coco_file_are_named_below_the_folder_of_all_sources(video_file, tmp_path):
    pictures = [tmp_path / 'pictures' / f'{k}.png' for k in range(3)]
    write(Exports(coco=str(tmp_path / 'coco.json')), [
        source('road.mp4', [video_file('road.mp4')]), source('pictures', pictures), source('rtsp://gate/1')],
        {'road.mp4': {2: []}, 'pictures': {2: []}, 'rtsp://gate/1': {2: []}})
    images = json.loads((tmp_path / 'coco.json').read_text())['images']
    assert [(one['file_name'], one.get('frame_in_file')) for one in images] == [
        ('road.mp4', 2), ('pictures/2.png', None), ('rtsp:__gate_1/000002.jpg', None)]


def test_cvat_reads_back_every_detection(sources, tmp_path):
    write(Exports(cvat=f'{tmp_path}/cvat/'), sources)
    (tmp_path / 'cvat' / 'gate.xml').unlink()
    convert_cvat(tmp_path / 'cvat', tmp_path, tmp_path / 'back.json')
    content = read_coco_vid(tmp_path / 'back.json', COCO_VID)
    assert [one['name'] for one in content['categories']] == list(CLASSES)
    frames = {one['id']: one['frame_id'] for one in content['images']}
    assert sorted(frames.values()) == list(range(9))
    found = [(frames[one['image_id']], one['category_id'] - 1, *one['bbox']) for one in content['annotations']]
    expected = [(k, found['label'], *found['bbox'][:2], 10.25, 10.5)
                for stream, k, found in detections(FRAMES) if stream == 'road.mp4']
    np.testing.assert_allclose(sorted(found), sorted(expected))


@given(shown=st.lists(st.sets(st.integers(1, 3)), min_size=1, max_size=6), stride=st.integers(1, 3),
       rest=st.integers(0, 4))
def test_between_key_frames_a_track_is_shown_where_both_neighbours_have_it(shown, stride, rest, tmp_path_factory):
    """The rule of CVAT: a track keeps its last key frame's visibility until its next key frame."""
    path = tmp_path_factory.mktemp('cvat') / 'one.xml'
    length = (len(shown) - 1) * stride + 1 + rest
    write_cvat([{'stream': 's', 'frame_id': k * stride, 'size': [64, 48],
                 'detections': [box(track_id, 0, track_id) for track_id in sorted(tracks)]}
                for k, tracks in enumerate(shown)], {'s': path}, {'s': length}, CLASSES)
    root = ElementTree.parse(path).getroot()
    assert root.findtext('meta/task/size') == str(length)
    visible = {}
    for track in root.iterfind('track'):
        keys = {int(shape.get('frame')): shape for shape in track.iterfind('box')}
        assert max(keys) < length
        state = '1'
        for frame in range(length):
            state = keys[frame].get('outside') if frame in keys else state
            if state == '0':
                visible.setdefault(frame, set()).add(float(keys[frame].get('xtl')) if frame in keys else None)
    for k, tracks in enumerate(shown):
        assert visible.get(k * stride, set()) == tracks
        both = tracks & shown[k + 1] if k + 1 < len(shown) else set()
        for frame in range(k * stride + 1, min((k + 1) * stride, length)):
            assert (frame in visible) == bool(both)
    assert all(frame not in visible for frame in range((len(shown) - 1) * stride + 1, length))


def test_an_interrupted_run_leaves_complete_files(sources, tmp_path):
    first = {stream: {k: its[k] for k in (0, 2)} for stream, its in FRAMES.items()}
    write(everything(tmp_path / 'whole'), sources, first)

    with suppress(KeyboardInterrupt), ExportSink(everything(tmp_path / 'cut'), sources, CLASSES) as sink:
        for frame_id in (0, 2):
            for one in sources:
                sink.write(StreamFrame(one.name, frame_id, frame_id / 25, IMAGE), None, FRAMES[one.name][frame_id])
        raise KeyboardInterrupt
    assert contents(tmp_path / 'cut') == contents(tmp_path / 'whole')
    assert len(contents(tmp_path / 'cut')) == 7


@pytest.mark.parametrize('road', [-1, 0, 2, 4])
@pytest.mark.parametrize('earlier', [0, 2])
def test_a_resumed_run_writes_what_an_uninterrupted_one_does(sources, tmp_path, road, earlier):
    write(everything(tmp_path / 'whole'), sources, is_resumable=True)
    for last in (None, {'road.mp4': road, 'gate': max(road - earlier, -1)}):
        write(everything(tmp_path / 'cut'), sources, last=last, is_resumable=True)
    assert contents(tmp_path / 'cut') == contents(tmp_path / 'whole')


def test_a_run_that_resumes_one_of_the_sources_keeps_the_rest(sources, tmp_path):
    first = {stream: {k: its[k] for k in (0, 2)} for stream, its in FRAMES.items()}
    write(everything(tmp_path / 'cut'), sources, first, is_resumable=True)
    write(everything(tmp_path / 'cut'), sources[:1], last={'road.mp4': 2, 'gate': 2}, is_resumable=True)
    write(everything(tmp_path / 'whole'), sources, {**FRAMES, 'gate': first['gate']}, is_resumable=True)
    assert contents(tmp_path / 'cut') == contents(tmp_path / 'whole')


def test_exports_without_their_records_are_not_replaced_by_the_rest(sources, tmp_path):
    exports = everything(tmp_path)
    write(exports, sources)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r'part\.jsonl, .* is missing'):
        write(exports, sources, last={'road.mp4': 2, 'gate': 0}, is_resumable=True)
    assert contents(tmp_path) == before
    write(exports, sources, last={'road.mp4': -1, 'gate': -1}, is_resumable=True)  # all frames are new


def test_an_export_that_a_resumed_run_adds_has_all_frames_or_a_warning(sources, tmp_path, caplog):
    table, coco = str(tmp_path / 'table.csv'), str(tmp_path / 'coco.json')
    write(Exports(csv=table), sources, is_resumable=True)
    write(Exports(csv=table, coco=coco), sources, last={'road.mp4': 2, 'gate': 2}, is_resumable=True)
    assert len(json.loads(Path(coco).read_text())['images']) == sum(map(len, FRAMES.values()))
    assert not caplog.records
    write(Exports(csv=str(tmp_path / 'new.csv')), sources, last={'road.mp4': 2, 'gate': 2}, is_resumable=True)
    assert 'new.csv.part.jsonl' in caplog.text


def test_only_a_resumable_run_keeps_its_records(sources, tmp_path):
    for is_resumable in (False, True):
        write(Exports(csv=str(tmp_path / 'table.csv')), sources, is_resumable=is_resumable)
        assert ('table.csv.part.jsonl' in os.listdir(tmp_path)) == is_resumable


def test_one_cvat_file_for_several_streams_is_refused(sources):
    with pytest.raises(InputError, match='--cvat is all.xml but 2 source'):
        Exports(cvat='all.xml').paths([one.name for one in sources])


def test_the_paths_are_all_files_of_the_run(sources, tmp_path):
    exports = everything(tmp_path / 'out')
    paths = exports.paths([one.name for one in sources])
    write(exports, sources, is_resumable=True)
    assert {path.name for path in map(Path, paths)} == {Path(name).name for name in contents(tmp_path / 'out')} - {
        'labels.txt'}
