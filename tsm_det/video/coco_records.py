"""Detections as a COCO data set, which is also one of CocoVID."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tsm_det.files import write_json
from tsm_det.video.source_names import IMAGE_SUFFIXES


def write_coco(records: Iterable[Mapping], path: str | os.PathLike, classes: Sequence[str]) -> None:
    """Write all frames as images and all detections as annotations with a score.

    Category ids are labels plus 1. Tracks have an ``instance_id``, unique in the file. File names are relative to the
    folder that all sources share. A frame of a video is named by ``file_name`` and ``frame_in_file``; a frame of a
    camera, which is in no file, by stream and frame id.

    Args:
        records: of ``ExportSink``.
        path: the file.
        classes: names of the labels.
    """
    records = list(records)
    folders = {os.path.dirname(record['file']) for record in records if record['file']}
    folder = os.path.commonpath(folders) if folders else ''
    videos = {stream: number for number, stream in enumerate(dict.fromkeys(r['stream'] for r in records), 1)}
    images: list[dict] = []
    annotations: list[dict] = []
    instances: dict[tuple, int] = {}
    for image_id, record in enumerate(records, 1):
        (width, height), video_id = record['size'], videos[record['stream']]
        images.append({'id': image_id, **_picture(record, folder), 'width': width, 'height': height,
                       'video_id': video_id, 'frame_id': record['frame_id']})
        for box in record['detections']:
            annotations.append({'id': len(annotations) + 1, 'image_id': image_id, 'video_id': video_id,
                                **_annotation(box)})
            if 'track_id' in box:
                annotations[-1]['instance_id'] = instances.setdefault((video_id, box['track_id']), len(instances) + 1)
    write_json({
        'videos': [{'id': number, 'name': stream} for stream, number in videos.items()],
        'categories': [{'id': label + 1, 'name': name} for label, name in enumerate(classes)],
        'images': images, 'annotations': annotations}, path)


def _picture(record: Mapping, folder: str) -> dict:
    """The keys that name the picture of a frame."""
    if record['file'] is None:
        return {'file_name': f'{record["stream"].replace("/", "_")}/{record["frame_id"]:06d}.jpg'}
    name = Path(record['file']).relative_to(folder).as_posix()
    is_image = name.lower().endswith(IMAGE_SUFFIXES)
    return {'file_name': name} if is_image else {'file_name': name, 'frame_in_file': record['frame_id']}


def _annotation(box: Mapping) -> dict:
    left, top, right, bottom = box['bbox']
    width, height = round(right - left, 2), round(bottom - top, 2)
    return {'category_id': box['label'] + 1, 'bbox': [left, top, width, height], 'area': round(width * height, 4),
            'iscrowd': 0, **{key: box[key] for key in ('score', 'track_id', 'predicted') if key in box}}
