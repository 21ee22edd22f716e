"""Annotated video in CocoVID files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from mmdet.datasets import BaseVideoDataset, MultiImageMixDataset
from mmdet.datasets.transforms import PackTrackInputs
from mmdet.registry import DATASETS
from mmengine.dist import get_world_size
from torch.utils.data import Dataset

from tsm_det.cocovid.motion import video_key
from tsm_det.cocovid.read import TRAINING, category_ids, read_coco_vid
from tsm_det.datasets.clips import ConsecutiveFrames, SegmentedFrames
from tsm_det.datasets.degrade import FrozenFrames
from tsm_det.errors import InputError
from tsm_det.randomness import seeded
from tsm_det.video.decord_file import check_reader

# TransformBroadcaster needs the same keys in all frames, so optional ones are dropped here.
_FRAME_KEYS = ('img_id', 'img_path', 'height', 'width', 'frame_id', 'video_id', 'frame_in_file',
               'is_vid_train_frame', 'instances', 'reader')


@DATASETS.register_module()
class CocoVIDDataset(BaseVideoDataset):
    """Videos with boxes on their frames, read from one CocoVID JSON file.

    Frames are sorted by ``frame_id``. Frames without a box stay, in training too, so that clips have no holes. A frame
    is an image file, or lies in a video file (``images[].frame_in_file``, 0-based). An image without ``video_id`` is a
    one-frame video. ``KeyFrameSampler`` draws clips around the frames with ``images[].is_vid_train_frame``, or around
    any frame where the key is missing. Labels follow ``metainfo['classes']``, or else the order of the categories.
    Boxes with ``iscrowd`` are ignored regions.

    Args:
        hint: advice for the message when the annotation file is missing.
        reader: of video files, ``pyav`` or ``decord``; None leaves it to ``LoadFrame``.
        kwargs: keys of ``BaseVideoDataset``: ``ann_file``, ``data_root``, ``data_prefix``, ...

    Raises:
        InputError: the file is missing or invalid (see :func:`~tsm_det.cocovid.read.read_coco_vid`), lacks a class, or
            has fewer test videos than there are processes; or the pipeline mixes images (Mosaic, MixUp, CopyPaste), or
            draws segments without passing on where they begin.
    """

    def __init__(self, *args, hint: str = 'see data/README.md for how to make it', reader: str | None = None,
                 **kwargs) -> None:
        if reader is not None:
            check_reader(reader)
        self.hint, self.reader = hint, reader
        self.num_ignored = 0  # boxes of ignored regions
        super().__init__(*args, **kwargs)
        if mixing := sorted({type(step).__name__ for step in self.steps if hasattr(step, 'get_indexes')}):
            raise InputError(f'the pipeline for {self.ann_file} has {", ".join(mixing)}, which puts other images into '
                             'a frame, but a clip must show one video: remove it from the pipeline')
        if not all('segment' in step.meta_keys for step in self.steps if isinstance(step, PackTrackInputs)) and any(
                isinstance(step, SegmentedFrames) and step.segments > 1 for step in self.steps):
            raise InputError(f'the pipeline for {self.ann_file} has SegmentedFrames, but its PackTrackInputs does not '
                             "pass on where segments begin: give it meta_keys=('segment',)")

    @property
    def steps(self) -> Iterator[object]:
        """All transforms of the pipeline, those inside others too."""
        return _steps(self.pipeline)

    @property
    def clip_length(self) -> int:
        """T, the number of frames that the pipeline's ``ConsecutiveFrames`` puts into a clip; 1 without it."""
        return next((step.num_frames for step in self.pipeline.transforms if isinstance(step, ConsecutiveFrames)), 1)

    def full_init(self) -> None:
        """Load the file, once."""
        super().full_init()
        if self.test_mode and len(self) < get_world_size():
            raise InputError(f'{self.ann_file} has {len(self)} videos but each of {get_world_size()} processes needs '
                             f'one: start at most {len(self)} processes')

    def load_data_list(self) -> list[dict]:
        """List one dict per video: ``video_id``, ``name``, ``video_length``, ``is_still``, ``images`` in time order."""
        return self._load(Path(self.ann_file), is_still=False)

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """Return a frame as pipeline input; ``BaseVideoDataset`` reads the boxes."""
        image = raw_data_info['raw_img_info']
        alone = {'video_id': video_key(image), 'frame_id': 0, 'frame_in_file': None, 'is_vid_train_frame': True}
        stated = {key: value for key, value in image.items() if value is not None}
        ours = {'img_id': image['id'], 'reader': self.reader}
        info = super().parse_data_info({**raw_data_info, 'raw_img_info': {**alone, **stated, **ours}})
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
        content = read_coco_vid(path, TRAINING, self.hint)
        ids = category_ids(content['categories'], self.metainfo.get('classes'), path)
        self._metainfo['classes'], self.cat_ids = tuple(ids), list(ids.values())
        self.cat2label = {category_id: label for label, category_id in enumerate(self.cat_ids)}
        names = {video['id']: video.get('name') for video in content['videos']}
        boxes, frames = defaultdict(list), defaultdict(list)
        self.num_ignored += sum(annotation.get('iscrowd', 0) for annotation in content['annotations'])
        for annotation in content['annotations']:
            boxes[annotation['image_id']].append(annotation)
        for image in content['images']:
            frame = self.parse_data_info({'raw_img_info': image, 'raw_ann_info': boxes[image['id']]})
            frames[frame['video_id']].append(frame)
        videos = [{'video_id': video_id, 'name': names.get(video_id) or str(video_id), 'video_length': len(images),
                   'images': sorted(images, key=lambda image: image['frame_id']), 'is_still': is_still}
                  for video_id, images in frames.items()]
        if any(isinstance(step, FrozenFrames) for step in self.steps):
            for video in videos:
                FrozenFrames.check_video(video['name'], video['images'])
        return videos


def wrapper_error(dataset: Dataset) -> InputError:
    """Say that a dataset takes the place of the CocoVIDDataset that clips are drawn from."""
    return InputError(f'the dataset is {type(dataset).__name__} but a clip shows one video of a CocoVIDDataset: give '
                      'that dataset itself, without a wrapper')


def refuse_mixing(dataset: Dataset) -> None:
    """Raise InputError when a wrapper, at any depth, puts images of a CocoVIDDataset into its clips."""
    if isinstance(dataset, MultiImageMixDataset) and _has_clips(dataset):
        raise wrapper_error(dataset)
    for part in _inner(dataset):
        refuse_mixing(part)


def _has_clips(dataset: Dataset) -> bool:
    return isinstance(dataset, CocoVIDDataset) or any(map(_has_clips, _inner(dataset)))


def _inner(dataset: Dataset) -> list[Dataset]:
    """The datasets in a wrapper."""
    return [*getattr(dataset, 'datasets', ()), *filter(None, [getattr(dataset, 'dataset', None)])]


def _steps(node: object) -> Iterator[object]:
    """All transforms of a pipeline, those inside others too."""
    if isinstance(node, list | tuple):
        for part in node:
            yield from _steps(part)
    else:
        yield node
        yield from _steps(getattr(node, 'transforms', ()))
