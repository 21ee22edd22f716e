"""Check whether a CocoVID file is fit to train on, and summarize its contents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tsm_det.cocovid.check_contents import check_boxes, check_frames, check_tracks, notes
from tsm_det.cocovid.check_files import check_files
from tsm_det.cocovid.check_report import CheckReport
from tsm_det.cocovid.check_table import make_table
from tsm_det.cocovid.read import COCO_VID, check_records, read_json
from tsm_det.errors import InputError


def check_file(file: str | os.PathLike, images: str | os.PathLike | None = None, every_frame: bool = False,
               progress: Callable[[list], Iterable] = iter) -> CheckReport:
    """Look for everything that would stop or silently spoil a training on a CocoVID file.

    Checks keys, values and ids, references, the order of frames, boxes and tracks, and whether the image and video
    files exist, decode and have the stated size. An invalid record is reported and skipped by the other checks.

    Args:
        file: the CocoVID file.
        images: the folder that its file names are relative to; None is the folder of the file.
        every_frame: decode all frames, not only the first, middle and last of each video or folder of images.
        progress: wraps the list of videos and folders while they are decoded, e.g. ``tqdm``.

    Raises InputError when the file is not JSON, or the folder does not exist.
    """
    file = Path(file)
    folder = file.parent if images is None else Path(images)
    if not folder.is_dir():
        raise InputError(f'{folder} is not a folder: name the one that the file names in {file} are relative to')
    records, problems = check_records(read_json(file), COCO_VID)
    problems += [*check_frames(records), *check_boxes(records), *check_tracks(records),
                 *check_files(records, folder, every_frame, progress)]
    return CheckReport(make_table(records, file.name), problems, list(notes(records)))
