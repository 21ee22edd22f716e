"""The synthetic video as a dataset that makes itself."""

from __future__ import annotations

from mmdet.registry import DATASETS
from mmengine.logging import print_log
from tqdm import tqdm

from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.datasets.synthetic_vid import is_made, make_synthetic_vid


@DATASETS.register_module()
class SyntheticVIDDataset(CocoVIDDataset):
    """CocoVID over :func:`make_synthetic_vid`, whose files are made at first use (some seconds).

    Args:
        data_root: folder of the videos and of ``train.json`` and ``val.json``.
        kwargs: keys of :class:`CocoVIDDataset`.

    Raises:
        InputError: ``data_root`` holds something else.
    """

    def __init__(self, *args, data_root: str, **kwargs) -> None:
        if not is_made(data_root):
            print_log(f'making synthetic video in {data_root} (some seconds)', 'current')
            make_synthetic_vid(data_root, progress=tqdm)
        super().__init__(*args, data_root=data_root, **kwargs)
