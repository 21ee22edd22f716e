"""Whole groups of videos are held out, about the same share of every class."""

import copy
import json

import pytest

from tsm_det.cocovid.split import read_groups, split_by_group, split_file
from tsm_det.errors import InputError


def coco_vid(videos):
    """A CocoVID dict of ten-frame videos, one box a frame; ``videos`` maps names to labels."""
    labels = sorted(set(videos.values()))
    content = {'info': {'made_by': 'a test'}, 'videos': [], 'images': [], 'annotations': [],
               'categories': [{'id': number, 'name': label} for number, label in enumerate(labels, start=1)]}
    for number, (name, label) in enumerate(videos.items(), start=100):
        content['videos'].append({'id': number, 'name': name, 'width': 64, 'height': 48})
        for frame in range(10):
            image = {'id': 7 + 10 * number + frame, 'file_name': f'{name}.mp4', 'video_id': number, 'frame_id': frame}
            content['images'].append(image)
            content['annotations'].append({
                'id': 3 * image['id'], 'image_id': image['id'], 'video_id': number, 'instance_id': number,
                'category_id': labels.index(label) + 1, 'bbox': [1, 2, 3, 4]})
    return content


@pytest.fixture
def content():
    return coco_vid({f'{label}{number}': label for label in ('bird', 'drone') for number in range(20)})


@pytest.fixture
def groups():
    """Scenes of two videos."""
    return {f'{label}{number}': f'{label} scene {number // 2}' for label in ('bird', 'drone') for number in range(20)}


def names(part):
    return {video['name'] for video in part['videos']}


def test_every_video_is_in_one_part(content, groups):
    kept, held_out = split_by_group(content, groups, 0.2)
    assert not names(kept) & names(held_out)
    assert names(kept) | names(held_out) == set(groups)


@pytest.mark.parametrize('seed', range(5))
def test_no_group_is_in_both_parts(content, groups, seed):
    kept, held_out = split_by_group(content, groups, 0.3, seed)
    assert not {groups[name] for name in names(kept)} & {groups[name] for name in names(held_out)}


@pytest.mark.parametrize('fraction', [0.1, 0.2, 0.5, 0.8])
def test_each_class_gives_its_share(content, groups, fraction):
    _, held_out = split_by_group(content, groups, fraction)
    for category in content['categories']:
        boxes = [box for box in held_out['annotations'] if box['category_id'] == category['id']]
        assert len(boxes) == fraction * 200


@pytest.mark.parametrize('fraction', [0.01, 0.99])
def test_each_class_is_in_both_parts_however_small_the_share(content, groups, fraction):
    for part in split_by_group(content, groups, fraction):
        assert {box['category_id'] for box in part['annotations']} == {1, 2}


def test_ids_and_all_the_rest_stay_as_they_were(content, groups):
    before = copy.deepcopy(content)
    kept, held_out = split_by_group(content, groups, 0.2)
    assert content == before
    for key in ('videos', 'images', 'annotations'):
        assert sorted(kept[key] + held_out[key], key=lambda item: item['id']) == content[key]
    assert kept['categories'] == held_out['categories'] == content['categories']
    assert kept['info'] == content['info']


def test_images_and_boxes_follow_their_video(content, groups):
    for part in split_by_group(content, groups, 0.2):
        videos, images = ({item['id'] for item in part[key]} for key in ('videos', 'images'))
        assert {image['video_id'] for image in part['images']} == videos
        assert {box['image_id'] for box in part['annotations']} == images


def test_the_seed_decides(content, groups):
    assert split_by_group(content, groups, 0.2, 1) == split_by_group(content, groups, 0.2, 1)
    assert len({frozenset(names(split_by_group(content, groups, 0.2, seed)[1])) for seed in range(5)}) > 1


def test_a_group_counts_for_the_class_of_most_of_its_boxes():
    mixed = coco_vid({'a': 'bird', 'b': 'bird', 'c': 'drone', 'd': 'bird', 'e': 'drone'})
    groups = {'a': 'mixed', 'b': 'mixed', 'c': 'mixed', 'd': 'birds', 'e': 'drones'}
    _, held_out = split_by_group(mixed, groups, 0.25)  # the only group of drones cannot be held out
    assert names(held_out) == {'d'}


def test_stills_are_kept(content, groups):
    content['images'].append({'id': 1, 'file_name': 'still.jpg'})
    content['annotations'].append({'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 3, 4]})
    kept, held_out = split_by_group(content, groups, 0.2)
    assert 1 in {image['id'] for image in kept['images']} and 1 in {box['id'] for box in kept['annotations']}
    assert 1 not in {image['id'] for image in held_out['images']}


def test_videos_without_boxes_are_split_too(content, groups):
    content['annotations'] = []
    assert len(split_by_group(content, groups, 0.2)[1]['videos']) == 8


def test_a_video_in_no_group_is_an_error(content, groups):
    del groups['bird3']
    with pytest.raises(InputError, match=r'1 videos are in no group \(bird3\)'):
        split_by_group(content, groups, 0.2)


def test_one_group_cannot_be_split(content, groups):
    with pytest.raises(InputError, match='1 groups'):
        split_by_group(content, dict.fromkeys(groups, 'here'), 0.2)


@pytest.mark.parametrize('fraction', [0, 1, -0.2, 20])
def test_a_fraction_out_of_range_is_an_error(content, groups, fraction):
    with pytest.raises(InputError, match='between 0 and 1'):
        split_by_group(content, groups, fraction)


@pytest.fixture
def files(tmp_path, content, groups):
    """A CocoVID file and a CSV file of scenes."""
    (tmp_path / 'all.json').write_text(json.dumps(content))
    lines = ['clip,split,scene', *(f'{name},train,{group}' for name, group in groups.items()), 'other,val,elsewhere']
    (tmp_path / 'scenes.csv').write_text('\n'.join(lines))
    return tmp_path / 'all.json', tmp_path / 'scenes.csv'


def test_files_are_split_by_a_column(files, tmp_path, content, groups):
    out = tmp_path / 'new' / 'kept.json', tmp_path / 'new' / 'held_out.json'
    report = split_file(files[0], out, files[1])
    assert [json.loads(path.read_text()) for path in out] == list(split_by_group(content, groups, 0.2))
    assert report.counts() == [('videos', 32, 8), ('frames', 320, 80), ('bird boxes', 160, 40),
                               ('drone boxes', 160, 40)]
    assert 'bird boxes: 40 of 200 held out (20.0 %)' in str(report)


def test_without_groups_each_video_is_one(files, tmp_path, content):
    kept, held_out = (tmp_path / name for name in ('kept.json', 'held_out.json'))
    split_file(files[0], (kept, held_out))
    names = {video['name']: video['name'] for video in content['videos']}
    assert [json.loads(path.read_text()) for path in (kept, held_out)] == list(split_by_group(content, names, 0.2))


def test_no_file_is_overwritten_by_the_other(files, tmp_path):
    with pytest.raises(InputError, match='three different files'):
        split_file(files[0], (tmp_path / 'a.json', tmp_path / 'a.json'), files[1])
    with pytest.raises(InputError, match='three different files'):
        split_file(files[0], (files[0], tmp_path / 'a.json'), files[1])


@pytest.mark.parametrize(('text', 'message'), [
    ('[', 'JSON'), ('{"images": []}', 'list categories'),
    ('{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}', 'in 0 groups')])
def test_a_file_that_is_not_coco_vid_is_an_error(files, tmp_path, text, message):
    files[0].write_text(text)
    with pytest.raises(InputError, match=message):
        split_file(files[0], (tmp_path / 'a.json', tmp_path / 'b.json'), files[1])


def test_videos_without_a_name_go_by_their_id(files, tmp_path):
    content = json.loads(files[0].read_text())
    for video in content['videos']:
        del video['name']
    files[0].write_text(json.dumps(content))
    parts = tmp_path / 'kept.json', tmp_path / 'held.json'
    split_file(files[0], parts)
    (tmp_path / 'ids.csv').write_text('clip,scene\n' + ''.join(f'{v["id"]},{v["id"]}\n' for v in content['videos']))
    before = [part.read_text() for part in parts]
    split_file(files[0], parts, tmp_path / 'ids.csv')
    assert [part.read_text() for part in parts] == before


def test_a_box_of_an_image_that_is_not_there_is_an_error(files, tmp_path):
    content = json.loads(files[0].read_text())
    content['annotations'][0]['image_id'] = 7777
    files[0].write_text(json.dumps(content))
    with pytest.raises(InputError, match='annotation 3021: image_id 7777'):
        split_file(files[0], (tmp_path / 'kept.json', tmp_path / 'held.json'))


def test_a_missing_column_is_said_of_a_line_with_too_many_values_too(tmp_path):
    (tmp_path / 'scenes.csv').write_text('clip,scene\na,1,surplus\n')
    with pytest.raises(InputError, match="no column 'place', only clip, scene"):
        read_groups(tmp_path / 'scenes.csv', 'clip', 'place')


def test_a_missing_column_is_an_error(files):
    with pytest.raises(InputError, match="no column 'place', only clip, split, scene"):
        read_groups(files[1], 'clip', 'place')


def test_a_video_in_two_groups_is_an_error(tmp_path):
    (tmp_path / 'scenes.csv').write_text('clip,scene\na,1\na,1\na,2\n')
    with pytest.raises(InputError, match='video a into the groups 1 and 2'):
        read_groups(tmp_path / 'scenes.csv', 'clip', 'scene')


def test_missing_groups_are_an_error(tmp_path):
    with pytest.raises(InputError, match='cannot be read'):
        read_groups(tmp_path / 'scenes.csv', 'clip', 'scene')


def test_spaces_and_empty_lines_of_a_table_make_no_group(tmp_path):
    (tmp_path / 'scenes.csv').write_text('clip,scene\n n1, a\nn2,a \n,\n\nn3,b b\n')
    groups = read_groups(tmp_path / 'scenes.csv', 'clip', 'scene')
    assert {name: group for name, group in groups.items() if name} == {'n1': 'a', 'n2': 'a', 'n3': 'b b'}


@pytest.mark.parametrize('line', ['n2', 'n2,', 'n2, '])
def test_a_video_without_a_group_is_named(tmp_path, line):
    (tmp_path / 'scenes.csv').write_text(f'clip,scene\nn1,a\n{line}\n')
    with pytest.raises(InputError, match=r'scenes.csv .*scene in line 3 \(n2'):
        read_groups(tmp_path / 'scenes.csv', 'clip', 'scene')
