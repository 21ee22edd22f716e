"""Annotated video in CocoVID files."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

from mmdet.datasets import BaseVideoDataset
from mmdet.registry import DATASETS
from mmengine.dist import get_world_size

from tsm_det.datasets.clips import ConsecutiveFrames
from tsm_det.errors import InputError
from tsm_det.randomness import seeded

# TransformBroadcaster needs the same keys on all frames, so nothing optional goes further than here.
_FRAME_KEYS = ('img_id', 'img_path', 'height', 'width', 'frame_id', 'video_id', 'frame_in_file',
               'is_vid_train_frame', 'instances')
_ADVICE = 'CocoVID needs it: add it (data/README.md describes the format)'


@DATASETS.register_module()
class CocoVIDDataset(BaseVideoDataset):
    """Videos with boxes on their frames, read from one CocoVID JSON file.

    Frames are sorted by ``frame_id``; those without a box stay, in training too, so that clips have
    no holes. They are images, or frames inside video files (``images[].frame_in_file``, 0-based).
    An image without ``video_id`` is a one-frame video. ``images[].is_vid_train_frame`` says which frames
    ``KeyFrameSampler`` draws clips around; where it is not given, any. Labels follow ``metainfo['classes']``, or the
    order of the file's categories when no classes are given.

    Args:
        hint: what to do when the annotation file is missing, one sentence for the message.
        kwargs: keys of ``BaseVideoDataset``: ``ann_file``, ``data_root``, ``data_prefix``, ...

    Raises:
        InputError: the file is missing or not CocoVID, a class is not in it, a video has a frame id twice, or
            there are fewer videos to test on than processes.
    """

    def __init__(self, *args, hint: str = 'see data/README.md for how to make it', **kwargs) -> None:
        self.hint = hint
        super().__init__(*args, **kwargs)

    @property
    def clip_length(self) -> int:
        """T, the number of frames that the pipeline's ``ConsecutiveFrames`` puts into a clip; 1 without it."""
        return next((step.num_frames for step in self.pipeline.transforms if isinstance(step, ConsecutiveFrames)), 1)

    def full_init(self) -> None:
        """Load the file, once."""
        super().full_init()
        if self.test_mode and len(self) < get_world_size():
            raise InputError(f'{self.ann_file} has {len(self)} videos but {get_world_size()} processes are to share '
                             f'them, each whole: start at most {len(self)} processes')

    def load_data_list(self) -> list[dict]:
        """List one dict per video: ``video_id``, ``name``, ``video_length``, ``is_still``, ``images`` in time order."""
        return self._load(Path(self.ann_file), is_still=False)

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """Return a frame as pipeline input; ``BaseVideoDataset`` reads the boxes."""
        image = raw_data_info['raw_img_info']
        # A still is a video of its own; a tuple never equals a video's id.
        alone = {'video_id': ('image', image['id']), 'frame_id': 0, 'frame_in_file': None, 'is_vid_train_frame': True}
        stated = {key: value for key, value in image.items() if value is not None}
        info = super().parse_data_info({**raw_data_info, 'raw_img_info': {**alone, **stated}})
        return {key: info[key] for key in _FRAME_KEYS}

    def filter_data(self) -> list[dict]:
        """Keep all frames: one without a box is part of its clip."""
        return self.data_list

    def prepare_data(self, idx: int | tuple[int, ...]) -> dict | None:
        """Run the pipeline on a video, on one frame of it, or on a ``ClipIndex`` with its seed."""
        if not isinstance(idx, tuple) or len(idx) == 2:
            return super().prepare_data(idx)
        video, frame, seed = idx
        with seeded(seed):
            return super().prepare_data((video, frame))

    def check_file(self) -> None:
        """Raise InputError when the annotation file is missing."""
        self._check(Path(self.ann_file))

    def _check(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f'the annotation file {path} is missing: {self.hint}')

    def _load(self, path: Path, is_still: bool) -> list[dict]:
        try:
            content = self._read(path)
            self._set_labels(content['categories'], path)
            boxes = defaultdict(list)
            for annotation in content['annotations']:
                boxes[annotation['image_id']].append(annotation)
            names = {video['id']: video.get('name') for video in content.get('videos', ())}
        except KeyError as error:
            raise InputError(f'an entry of {path} has no {error} but {_ADVICE}') from error
        frames = defaultdict(list)
        for image in content['images']:
            info = self._frame(image, boxes, path)
            frames[info['video_id']].append(info)
        return [{**self._video(video_id, names, images), 'is_still': is_still} for video_id, images in frames.items()]

    def _read(self, path: Path) -> dict:
        self._check(path)
        try:
            content = json.loads(path.read_bytes())
            missing = {'images', 'annotations', 'categories'} - set(content)
        except (ValueError, TypeError) as error:
            raise InputError(f'{path} is not a CocoVID JSON file ({error}): {self.hint}') from error
        if missing:
            raise InputError(f'{path} has no {", ".join(sorted(missing))} but CocoVID needs them: {self.hint}')
        ids = [image['id'] for image in content['images']]
        if not ids or len(set(ids)) < len(ids):
            what = 'an image id twice' if ids else 'no image'
            raise InputError(f'{path} has {what} but each frame needs an id of its own: convert it again')
        return content

    def _frame(self, image: dict, boxes: dict[int, list[dict]], path: Path) -> dict:
        try:
            return self.parse_data_info(
                {'raw_img_info': {'img_id': image['id'], **image}, 'raw_ann_info': boxes[image['id']]})
        except KeyError as error:
            raise InputError(f'image {image["id"]} of {path} or one of its annotations has no {error} but '
                             f'{_ADVICE}') from error

    def _set_labels(self, categories: list[dict], path: Path) -> None:
        ids = {category['name']: category['id'] for category in categories}
        classes = self.metainfo.get('classes') or tuple(ids)
        unknown = [name for name in classes if name not in ids]
        if unknown:
            raise InputError(f'{path} has no category {", ".join(unknown)}, only {", ".join(ids)}: '
                             'set metainfo.classes to names of the file')
        self._metainfo['classes'] = tuple(classes)
        self.cat_ids = [ids[name] for name in classes]
        self.cat2label = {category_id: label for label, category_id in enumerate(self.cat_ids)}

    def _video(self, video_id, names: dict, images: list[dict]) -> dict:
        images.sort(key=lambda image: image['frame_id'])
        name = names.get(video_id) or str(video_id)
        for earlier, later in pairwise(images):
            if earlier['frame_id'] == later['frame_id']:
                raise InputError(f'video {name} of {self.ann_file} has frame_id {later["frame_id"]} twice '
                                 f'({earlier["img_path"]}, {later["img_path"]}): number its frames in order of time')
        return {'video_id': video_id, 'name': name, 'video_length': len(images), 'images': images}
