"""The detectors that come with the package, called by short names; data/checkpoints/metafile.yml has their scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

from tsm_det.config import config_names, config_path, package_folder
from tsm_det.errors import InputError

PUBLISHED = {
    'synthvid': 'tsm_faster_rcnn_r18_synthvid',
    'synthvid-gate': 'tsm_faster_rcnn_r18_synthvid_gate',
    'thermal': 'tsm_faster_rcnn_mobilenetv2_thermal_degraded_gate'}
DEFAULT = 'synthvid-gate'
_CONFIG_SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def published(name: str) -> tuple[str, str]:
    """Paths of the config and of the weights, for example for ``OnlineDetector.from_config(*published('thermal'))``.

    Raises InputError when no detector has this name.
    """
    if name not in PUBLISHED:
        raise InputError(f'no published detector is called {name!r}: choose one of {", ".join(PUBLISHED)}')
    weights, = package_folder('checkpoints', 'data/checkpoints').glob(f'{PUBLISHED[name]}-*.pth')
    return config_path(PUBLISHED[name]), str(weights)


def detector_files(config: str, checkpoint: str | None) -> tuple[str, str | None]:
    """Paths that CONFIG and CHECKPOINT of a command line mean: a published name stands for both.

    A checkpoint of None is missing, and 'none' means random weights, None in the result.

    Raises InputError when a config has no checkpoint, or a published name has one.
    """
    if checkpoint and config in PUBLISHED:
        raise InputError(f'{config} comes with its weights but {checkpoint} is behind it: leave that out, or give the '
                         f'config {PUBLISHED[config]} in front of it')
    if checkpoint is None:
        if config not in PUBLISHED:
            raise InputError(f'{config} has no checkpoint behind it: give CONFIG CHECKPOINT, CONFIG none for random '
                             f'weights, or one of {", ".join(PUBLISHED)}')
        return published(config)
    return config, None if checkpoint == 'none' else checkpoint


def split_detector(words: Sequence[str]) -> tuple[str, str | None, list[str]]:
    """Split ``[DETECTOR] SOURCE ...`` into config, checkpoint and sources.

    DETECTOR is a config file or the name of a config, and a checkpoint; a ``.onnx`` file; or a published name. Without
    it the detector is ``synthvid-gate``, which is logged.

    Raises InputError when there is no source, or the first word is a mere name of neither a detector nor a file.
    """
    first, *rest = words
    if first in PUBLISHED:
        (config, checkpoint), sources = published(first), rest
    elif first.endswith('.onnx'):
        config, checkpoint, sources = first, None, rest
    elif first.endswith(_CONFIG_SUFFIXES) or first in config_names():
        (config, checkpoint), sources = detector_files(first, *rest[:1] or [None]), rest[1:]
    elif re.fullmatch(r'\w*[^\W\d][\w-]*', first) and not Path(first).exists():
        raise InputError(f'{first} is neither a detector nor a file: detectors are {", ".join(PUBLISHED)}, a .onnx '
                         'file, or CONFIG CHECKPOINT')
    else:
        (config, checkpoint), sources = published(DEFAULT), list(words)
        print_log(f'no detector is named, so this is {DEFAULT}, which knows synthetic shapes only: for other objects '
                  f'give CONFIG CHECKPOINT, or one of {", ".join(PUBLISHED)}', 'current')
    if not sources:
        raise InputError(f'{" ".join(words)} is a detector without a source: give a video, a folder, a camera or an '
                         'address behind it; behind CONFIG comes its CHECKPOINT, then the source')
    return config, checkpoint, sources
