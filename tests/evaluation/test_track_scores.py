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
