"""HOTA, MOTA and IDF1 of tracks that can be scored by hand."""

import json

import pytest

from tsm_det.errors import InputError
from tsm_det.evaluation.track_scores import track_scores

pytest.importorskip('trackeval', reason='needs trackeval: pip install --no-deps trackeval tabulate')
FRAMES = range(10)
# Two cats and a dog in one video of ten frames, x and y of boxes of 10 px by track id.
TRUTH = {(1, 'cat'): {k: (k, 0) for k in FRAMES}, (2, 'cat'): {k: (k, 20) for k in FRAMES},
         (3, 'dog'): {k: (40, k) for k in FRAMES}}


@pytest.fixture
def score(scene, tmp_path):
    """Scores tracks in the form of TRUTH."""
    config, _ = scene({'road': {track: {k: (*corner, 10, 10) for k, corner in its.items()}
                                for track, its in TRUTH.items()}}, frame_ids=FRAMES)

    def score(tracks, stream='/videos/road.mp4'):
        lines = [{'frame_id': k, 'time_s': k, 'stream': stream, 'reset': None, 'detections': [
            {'bbox': [*its[k], its[k][0] + 10, its[k][1] + 10], 'score': 1, 'label': 0, 'class': name,
             **({'track_id': track_id} if track_id else {})}
            for (track_id, name), its in tracks.items() if k in its]} for k in FRAMES]
        (tmp_path / 'lines.jsonl').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
        return track_scores(config.test_evaluator.ann_file, tmp_path / 'lines.jsonl')
    return score


def test_perfect_tracks_score_1_under_any_ids(score):
    scores = score({(10 - number, name): its for (number, name), its in TRUTH.items()})
    assert scores == pytest.approx({
        'HOTA': 1, 'MOTA': 1, 'IDF1': 1, 'IDSW': 0, 'cat/HOTA': 1, 'cat/MOTA': 1, 'cat/IDF1': 1, 'dog/HOTA': 1,
        'dog/MOTA': 1, 'dog/IDF1': 1})


def test_an_id_switch_costs_what_the_definitions_say(score):
    second = TRUTH[2, 'cat']
    scores = score({**TRUTH, (2, 'cat'): {k: second[k] for k in range(5)},
                    (9, 'cat'): {k: second[k] for k in range(5, 10)}})
    # Of 20 boxes all are found, 15 of them under the best id of their object; one switch.
    assert scores['IDSW'] == 1
    assert scores['cat/MOTA'] == pytest.approx(1 - 1 / 20)
    assert scores['cat/IDF1'] == pytest.approx(0.75)
    # 10 boxes of an object with one id and 10 with half their object in their track: association 0.75, detection 1.
    assert scores['cat/HOTA'] == pytest.approx(0.75 ** 0.5)
    assert scores['HOTA'] == pytest.approx((0.75 ** 0.5 + 1) / 2)


def test_boxes_without_a_track_and_of_another_class_do_not_count_as_tracked(score):
    scores = score({(0, 'cat'): TRUTH[1, 'cat'], (2, 'dog'): TRUTH[2, 'cat']})
    assert scores['cat/MOTA'] == scores['cat/IDF1'] == 0
    assert scores['dog/MOTA'] == pytest.approx(1 - (10 + 10) / 10)  # ten missed, ten wrong


def test_another_video_is_refused(score):
    with pytest.raises(InputError, match='road'):
        score(TRUTH, stream='gate.mp4')


def lines_of(path, *streams, track_id=1, name='cat'):
    """A line per stream, of frame 0 with one box."""
    path.write_text(''.join(json.dumps(dict(frame_id=0, stream=stream, detections=[
        {'bbox': [0, 0, 10, 10], 'class': name, **({'track_id': track_id} if track_id else {})}])) + '\n'
        for stream in streams))
    return path


def truth_of(path, *videos, crowd=(), stills=0):
    """A frame with one cat per video, dogs that are crowds in some, and images without a video."""
    images = [dict(id=k, file_name=f'{k}.png', width=64, height=64, video_id=k, frame_id=0)
              for k in range(1, len(videos) + 1)]
    boxes = [dict(image_id=image['id'], category_id=1, bbox=[0, 0, 10, 10], area=100, iscrowd=0, instance_id=7)
             for image in images]
    boxes += [dict(image_id=k, category_id=2, bbox=[20, 20, 9, 9], area=81, iscrowd=1) for k in crowd]
    images += [dict(id=100 + k, file_name=f's{k}.png', width=64, height=64) for k in range(stills)]
    boxes += [dict(image_id=100 + k, category_id=1, bbox=[0, 0, 9, 9], area=81, iscrowd=0) for k in range(stills)]
    path.write_text(json.dumps(dict(
        videos=[dict(id=k, name=name) for k, name in enumerate(videos, 1)], images=images,
        annotations=[dict(box, id=k) for k, box in enumerate(boxes, 1)],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')])))
    return path


def test_videos_of_one_name_in_two_folders_are_two_videos(tmp_path):
    truth = truth_of(tmp_path / 'truth.json', 'cam1/0001', 'cam2/0001')
    lines = lines_of(tmp_path / 'lines.jsonl', 'val/cam2/0001.mp4', 'val/cam1/0001.mp4')
    assert track_scores(truth, lines)['MOTA'] == 1
    assert track_scores(truth, lines_of(lines, 'val/cam1/0001.mp4'))['MOTA'] == 0.5


def test_crowds_make_no_class_and_stills_no_video(tmp_path):
    truth = truth_of(tmp_path / 'truth.json', 'a', 'b', crowd=[1, 2], stills=2)
    scores = track_scores(truth, lines_of(tmp_path / 'lines.jsonl', 'a.mp4', 'b.mp4'))
    assert scores['HOTA'] == pytest.approx(1) and not any(key.startswith('dog') for key in scores)


@pytest.mark.parametrize('text', ['{"coco/AP50": 0.5}\n', '[1, 2]\n', '7\n', '{"stream": '])
def test_what_is_no_run_is_refused(tmp_path, text):
    (tmp_path / 'lines.jsonl').write_text(text)
    with pytest.raises(InputError, match='lines.jsonl .*--json'):
        track_scores(truth_of(tmp_path / 'truth.json', 'a'), tmp_path / 'lines.jsonl')


def test_a_run_without_tracks_is_said_and_one_of_other_classes_refused(run, tmp_path):
    truth = truth_of(tmp_path / 'truth.json', 'a')
    status, out, err = run(f'score_tracks {truth} {lines_of(tmp_path / "lines.jsonl", "a.mp4", track_id=None)}')
    assert status == 0 and 'lines.jsonl has no track' in out + err and '--track' in out + err
    with pytest.raises(InputError, match='Cat .*cat, dog'):
        track_scores(truth, lines_of(tmp_path / 'lines.jsonl', 'a.mp4', name='Cat'))
    with pytest.raises(InputError, match='annotation 1 .*instance_id'):
        truth.write_text(truth.read_text().replace('"instance_id": 7', '"instance_id": 0'))
        track_scores(truth, lines_of(tmp_path / 'lines.jsonl', 'a.mp4'))
    with pytest.raises(InputError, match='truth.json'):
        track_scores(truth_of(tmp_path / 'truth.json'), lines_of(tmp_path / 'lines.jsonl', 'a.mp4'))
