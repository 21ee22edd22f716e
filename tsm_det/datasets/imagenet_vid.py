"""ImageNet VID with the stills of DET."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mmdet.registry import DATASETS

from tsm_det.cocovid.convert.imagenet_xml import CLASSES
from tsm_det.datasets.coco_vid import CocoVIDDataset


@DATASETS.register_module()
class ImageNetVIDDataset(CocoVIDDataset):
    """The videos of one CocoVID file and the stills of another, 30 classes in the official order.

    ``tools/convert_dataset.py imagenet-vid`` and ``imagenet-det`` write the files. ``KeyFrameSampler`` draws clips
    around the key frames and weights the stills. Tests run on all frames of the videos.

    Args:
        stills: CocoVID file of the stills, in ``data_root`` if relative; None trains on the videos alone.
        kwargs: keys of ``CocoVIDDataset``.
    """

    METAINFO: ClassVar = dict(classes=CLASSES)

    def __init__(self, *args, stills: str | None = None, **kwargs) -> None:
        self.stills = stills
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """The videos, then each still as a video of one frame."""
        videos = super().load_data_list()
        return videos + (self._load(Path(self.stills), is_still=True) if self.stills else [])

    def check_file(self) -> None:
        """Raise InputError when a file is missing."""
        super().check_file()
        if self.stills:
            self._check(Path(self.stills))

    def _join_prefix(self) -> None:
        super()._join_prefix()
        if self.stills:
            self.stills = str(Path(self.data_root, self.stills))
