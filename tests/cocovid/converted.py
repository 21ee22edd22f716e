"""What a converter wrote, as short tuples."""

import json


def converted(function, *arguments, out, **options):
    """(content of the file, report) of a converter."""
    report = function(*arguments, out, **options)
    return json.loads(out.read_text()), report


def boxes_of(content):
    """(video, frame id, label, bbox, track) of all annotations that are not ignored, in order."""
    return [(*where, box['bbox'], box['instance_id']) for *where, box in _annotations(content) if not box['iscrowd']]


def ignored_of(content):
    """(video, frame id, label, bbox) of all ignored regions."""
    return [(*where, box['bbox']) for *where, box in _annotations(content) if box['iscrowd']]


def frames_of(content):
    """(file name, frame id) of all images."""
    return [(image['file_name'], image['frame_id']) for image in content['images']]


def _annotations(content):
    videos = {video['id']: video['name'] for video in content['videos']}
    frames = {image['id']: image['frame_id'] for image in content['images']}
    labels = {category['id']: category['name'] for category in content['categories']}
    return [(videos[box['video_id']], frames[box['image_id']], labels[box['category_id']], box)
            for box in content['annotations']]
