"""AP50 on draws of videos, against a slow protocol on videos that are repeated in fact."""

import json
import math

import numpy as np
import pytest

from tests.evaluation.random_scene import CLASSES, random_scene
from tests.evaluation.slow_protocols import MOTION, coco, read_frames
from tsm_det.comparison.comparison import compare
from tsm_det.comparison.runs import runs_of_results
from tsm_det.comparison.summary import PartScores, VideoTable
from tsm_det.errors import InputError
from tsm_det.evaluation.bootstrap import drawn_groups
from tsm_det.evaluation.evaluation_set import evaluation_set_of
from tsm_det.evaluation.stability import stability_metrics, track_errors

BINS = {'0-1': (0, 2), '2-3': (2, 4), '4-7': (4, 8), '8-15': (8, 16), '16+': (16, math.inf)}


def videos_of(content):
    return sorted({image['video_id'] for image in content['images']})


def scene(seed):
    """A random scene whose videos have names, and no two equal scores in a frame: copies of it would take turns."""
    content, results = random_scene(seed)
    results = [(image, boxes, [score + 1e-6 * k for k, score in enumerate(scores)], labels)
               for image, boxes, scores, labels in results]
    return {**content, 'videos': [dict(id=video, name=f'v{video}') for video in videos_of(content)]}, results


def repeated(content, results, times):
    """Every video as often as ``times`` says by its id, each copy beside the other, under ids of its own."""
    video_of = {image['id']: image['video_id'] for image in content['images']}

    def copies(entry, video, *keys):
        return [{**entry, **{key: entry[key] * 10 + k for key in keys}} for k in range(times[video])]

    return (
        {**content,
         'images': [copy for image in content['images']
                    for copy in copies(image, image['video_id'], 'id', 'video_id')],
         'annotations': [copy for box in content['annotations']
                         for copy in copies(box, video_of[box['image_id']], 'id', 'image_id', 'video_id')]},
        [(image * 10 + k, *columns) for image, *columns in results for k in range(times[video_of[image]])])


def slowly(content, results):
    """AP50 by kind and name of the part."""
    frames = read_frames(content, results, CLASSES, count_key_frame=False)
    labels = range(len(CLASSES))
    scores = {('all', 'all'): coco(frames, labels, '')}
    scores |= {('class', name): coco(frames, [label], '') for label, name in enumerate(CLASSES)}
    alone = [{**frame, **{key: [{**box, 'label': 0} for box in frame[key]] for key in ('truth', 'found')}}
             for frame in frames]
    scores[('class', 'any class')] = coco(alone, [0], '')
    scores |= {('motion', name): coco(frames, labels, '', motion=limits) for name, limits in MOTION.items()}
    scores |= {('frame', name): coco([frame for frame in frames if low <= frame['number'] < high], labels, '')
               for name, (low, high) in BINS.items()}
    late = [image['late'] for image in sorted(content['images'], key=lambda image: image['id'])]
    scores |= {('subset', name): coco([frame for frame, is_late in zip(frames, late, strict=True)
                                       if is_late == wanted], labels, '')
               for name, wanted in (('early', False), ('late', True))}
    return {key: metrics['coco/AP50'] for key, metrics in scores.items()}


@pytest.mark.parametrize('seed', range(40))
def test_a_draw_scores_what_videos_repeated_in_fact_score(written, seed):
    content, results = scene(seed)
    for image in content['images']:
        image['late'] = image['frame_id'] > 3
    subsets = dict(early=dict(late=False), late=dict(late=True))
    config, results_file = written(content, results, CLASSES, subsets=subsets)
    rng = np.random.default_rng(seed)
    draws = [dict.fromkeys(videos_of(content), 1),
             *({video: int(rng.integers(0, 4)) for video in videos_of(content)} for _ in range(3))]
    parts = PartScores(config)
    weights = np.array([[draw[int(name[1:])] for name in parts.names] for draw in draws], float)
    ours = parts.score(results_file, weights)
    for k, draw in enumerate(draws):
        expected = slowly(*repeated(content, results, draw))
        assert {key for key in ours if key[0] != 'stability'} == expected.keys()
        for key, value in expected.items():
            assert ours[key].values[k] == pytest.approx(value, abs=1e-9, nan_ok=True), (key, draw)


@pytest.mark.parametrize('seed', range(10))
def test_stability_of_a_draw_is_the_mean_over_the_tracks_of_videos_repeated_in_fact(written, seed):
    content, results = scene(seed)
    for box in content['annotations']:
        box['instance_id'] = box.get('instance_id') or 1000 + box['id']
    config, results_file = written(content, results, CLASSES)
    data = evaluation_set_of(config)
    whole = stability_metrics(data.ground_truth, *data.tracks(), data.read_detections(results_file))
    parts, rng = PartScores(config), np.random.default_rng(seed)
    weights = np.array([np.ones(len(parts.names)), *rng.integers(0, 4, (3, len(parts.names)))], float)
    ours = parts.score(results_file, weights)
    found = track_errors(data.ground_truth, *data.tracks(), data.read_detections(results_file))
    videos = [data.images[frame]['video_id'] for frame in found.first_frame]
    for k, name in enumerate(('fragment', 'centre', 'scale_ratio', 'class_switches')):
        score = ours.get(('stability', name))
        if score is None:
            assert np.isnan(found.errors[:, k]).all()
            continue
        assert score.boxes == np.count_nonzero(~np.isnan(found.errors[:, k]))
        assert score.values[0] == pytest.approx(whole[f'stability/{name}'], nan_ok=True)
        for draw, value in zip(weights, score.values, strict=True):
            copies = [errors[k] for errors, video in zip(found.errors, videos, strict=True) if not np.isnan(errors[k])
                      for _ in range(int(draw[parts.names.index(f'v{video}')]))]
            assert value == pytest.approx(np.mean(copies) if copies else np.nan, nan_ok=True)


def test_without_tracks_there_is_no_stability(written):
    content, results = scene(3)
    for box in content['annotations']:
        box.pop('instance_id', None)
    config, results_file = written(content, results, CLASSES)
    parts = PartScores(config)
    assert not any(kind == 'stability' for kind, _ in parts.score(results_file, drawn_groups(len(parts.names), 2)))


def test_the_scenes_have_parts_that_differ():
    values = [value for seed in range(40) for value in
              {frame['number'] for frame in read_frames(*scene(seed), CLASSES, False) if frame['truth']}]
    assert {0, 1, 2, 3, 4} <= set(values)


def test_videos_are_grouped_and_reported_by_a_table(written, tmp_path):
    content, results = scene(6)
    assert len(content['videos']) > 2
    lines = [f'v{video["id"]},{"AB"[k > 0]},{"far" if k else "near"}' for k, video in enumerate(content['videos'])]
    (tmp_path / 'scenes.csv').write_text('\n'.join(['clip,scene,distance', *lines]))
    config, results_file = written(content, results, CLASSES)
    parts = PartScores(config, VideoTable(str(tmp_path / 'scenes.csv'), by=('distance',)))
    assert parts.names == ['A', 'B']
    first = content['videos'][0]['id']
    near = [image['id'] for image in content['images'] if image['video_id'] == first]
    scores = parts.score(results_file, drawn_groups(2, 50))
    assert scores['distance', 'near'].boxes == sum(
        box['image_id'] in near and box['category_id'] < 90 and not box['iscrowd'] for box in content['annotations'])
    assert scores['distance', 'near'].boxes + scores['distance', 'far'].boxes == scores['all', 'all'].boxes
    assert [scores[key].groups for key in (('distance', 'near'), ('distance', 'far'), ('all', 'all'))] == [1, 1, 2]
    # A draw of the other scene alone has nothing near.
    assert np.isnan(scores['distance', 'near'].values).any()


def test_without_a_table_a_videos_scene_in_the_file_is_its_group(written):
    content, results = scene(5)
    for video in content['videos']:
        video['scene'] = 'the only one'
    assert PartScores(written(content, results, CLASSES)[0]).names == ['the only one']


@pytest.mark.parametrize(('lines', 'by', 'facts'), [
    (['clip,scene', 'v1,A'], (), r'scenes.csv .* \(v2'),
    (['clip,scene', 'v1,A', 'v2'], (), r'scenes.csv .* \(v2'),
    (['clip,scene,class'], ('class',), '--by class .*scenes.csv')])
def test_a_table_that_lacks_a_video_or_has_a_column_named_like_a_part_is_an_error(written, tmp_path, lines, by, facts):
    (tmp_path / 'scenes.csv').write_text('\n'.join(lines))
    with pytest.raises(InputError, match=facts):
        PartScores(written(*scene(5), CLASSES)[0], VideoTable(str(tmp_path / 'scenes.csv'), by=by))


@pytest.mark.parametrize('videos', [{}, {'videos': []}])
def test_without_names_the_ids_are_the_groups(written, videos):
    content, results = scene(5)
    ids = videos_of(content)
    del content['videos']
    assert PartScores(written({**content, **videos}, results, CLASSES)[0]).names == sorted(map(str, ids))
    content['videos'] = [dict(id=video) for video in ids]
    assert PartScores(written(content, results, CLASSES)[0]).names == sorted(map(str, ids))


def test_results_of_other_frames_are_refused(written):
    content, results = scene(5)
    config, results_file = written(content, results[:-1], CLASSES)
    parts, number = PartScores(config), len(content['images'])
    with pytest.raises(InputError, match=f'{number - 1} frames.* {number - 1} .* {number} of'):
        parts.score(results_file, drawn_groups(len(parts.names), 1))


def test_a_measure_that_is_defined_in_one_group_has_no_interval(written, tmp_path):
    """Each arm finds the boxes of one video alone, not the same: only there is a centre."""
    boxes = [[10, 10, 20, 20], [40, 10, 60, 20]]
    images = [dict(id=10 * video + k, video_id=video, frame_id=k, file_name=f'{video}/{k}.png', width=64, height=64)
              for video in (1, 2, 3) for k in range(4)]
    annotations = [dict(image_id=image['id'], video_id=image['video_id'], category_id=1, iscrowd=0, area=200,
                        instance_id=track, bbox=[x, y, right - x, bottom - y])
                   for image in images for track, (x, y, right, bottom) in enumerate(boxes, 1)]
    content = dict(videos=[dict(id=video) for video in (1, 2, 3)], images=images, categories=[dict(id=1, name='cat')],
                   annotations=[dict(box, id=number) for number, box in enumerate(annotations, 1)])
    arms = []
    for arm, video in (('one', 1), ('other', 2)):
        found = [(image['id'], *((np.add(boxes, image['frame_id'] % 2).tolist(), [0.9, 0.8], [0, 0])
                                 if image['video_id'] == video else ([], [], []))) for image in images]
        config, path = written(content, found, ['cat'], name=arm)
        config.dump(tmp_path / 'config.py')
        arms.append([arm, str(tmp_path / 'config.py'), str(path)])
    compare(runs_of_results(arms, tmp_path), 'other', tmp_path / 'out', latency_frames=0, draws=20)
    parts = {part['name']: part for part in json.loads((tmp_path / 'out' / 'results.json').read_text())['parts']}
    assert (parts['fragment']['boxes'], parts['fragment']['groups']) == (6, 3)
    assert (parts['centre']['boxes'], parts['centre']['groups']) == (2, 1)
    assert parts['fragment']['differences']['one']['low'] is not None
    assert parts['centre']['differences']['one']['low'] is None
