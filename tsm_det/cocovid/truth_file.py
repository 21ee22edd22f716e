"""The CocoVID file that detections are scored by."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from tsm_det.errors import InputError

_NEEDED = {'videos': ('id',), 'images': ('id',), 'annotations': ('id', 'image_id', 'category_id', 'bbox'),
           'categories': ('id', 'name')}


def read_truth(path: str | os.PathLike) -> dict:
    """Read a CocoVID file, which may leave ``videos`` out; what is in it suffices to score detections.

    Raises:
        InputError: it is missing or no such file, an entry lacks something, or an annotation is of no image.
    """
    try:
        content = {'videos': [], **json.loads(Path(path).read_bytes())}
        lacking = [f'{what}[{place}] has no {key}' for what, keys in _NEEDED.items()
                   for place, entry in enumerate(content[what]) for key in keys if key not in entry]
        if not lacking:
            np.array([annotation['bbox'] for annotation in content['annotations']], np.float64).reshape(-1, 4)
    except OSError as error:
        raise InputError(f'the annotation file {path} cannot be read ({error.strerror}): make it as data/README.md '
                         'says') from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f'{path} is not a CocoVID JSON file ({type(error).__name__}: {error}): make it as '
                         'data/README.md says') from error
    if lacking:
        raise InputError(f'{path} cannot be scored by: {lacking[0]} ({len(lacking)} in all): add what is missing, '
                         'data/README.md describes the format')
    images = {image['id'] for image in content['images']}
    if lost := [annotation for annotation in content['annotations'] if annotation['image_id'] not in images]:
        raise InputError(f'{path} has {len(lost)} annotations of images that are not in it (annotation {lost[0]["id"]} '
                         f'of image {lost[0]["image_id"]}): add these images, or take the annotations out')
    return content
