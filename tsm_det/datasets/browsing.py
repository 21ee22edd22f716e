"""Draw clips of a config after its pipeline, for tools/browse_dataset.py."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path

from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import Dataset
from tqdm import tqdm

from tsm_det.datasets.contact_sheet import clip_figure
from tsm_det.errors import InputError
from tsm_det.files import check_folder
from tsm_det.locks import locked
from tsm_det.models.checkpoint_file import plain_files_only
from tsm_det.png import rendered, write_png
from tsm_det.randomness import seeded

_STRETCH = 8  # frames per clip of val and test
_MOST_FRAMES = 48  # per sheet; some samplers give whole videos


def browse(config: Config, out: str | os.PathLike, split: str = 'train', clips: int = 8,
           seed: int | None = None, trust_files: bool = False) -> list[Path]:
    """Write one contact sheet per clip that the config's dataset, sampler and pipeline give.

    ``train`` shows the first clips of a training with that seed. ``val`` and ``test``, whose sampler gives single
    frames in order, show random stretches of consecutive frames.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        out: folder for ``SPLIT_01.png``, ``SPLIT_02.png``...; made if missing.
        split: ``'train'``, ``'val'`` or ``'test'``.
        clips: number of clips.
        seed: for sampler, augmentation and stretches; None is the config's, or 0.
        trust_files: let datasets read files of more than arrays and plain values, which may run any program.

    Returns:
        The files, in order.

    Raises InputError when the split, the annotation file or a frame is missing, or ``out`` cannot be written
    or is another run's output.
    """
    for name, number, least in (('number of clips', clips, 1), ('seed', seed or 0, 0)):
        if number < least:
            raise InputError(f'the {name} is {number} but must be at least {least}')
    if not config.get(f'{split}_dataloader'):
        raise InputError(f'the config has no {split}_dataloader: choose another --split or config')
    init_default_scope(config.get('default_scope', 'mmdet'))
    seed = config.get('randomness', {}).get('seed') or 0 if seed is None else seed
    with plain_files_only(trust_files):
        loader = Runner.build_dataloader(_boxes_first(config[f'{split}_dataloader']), seed=seed)
    # The loader's own order, walked in this process; iterating over the loader would start its workers.
    order = chain.from_iterable(loader.batch_sampler)
    chosen = [[index] for index in islice(order, clips)] if split == 'train' else _stretches(order, clips, seed)
    check_folder(out)
    with locked(out), seeded(seed), tqdm(chosen, desc='clips', unit='clip') as progress:
        return [write_png(rendered(_draw(loader.dataset, indices)), Path(out, f'{split}_{number:02d}.png'))
                for number, indices in enumerate(progress, 1)]


def _boxes_first(loader: dict) -> dict:
    """Move loading of annotations before all geometry; mmdet's test pipelines load them last."""
    loader = copy.deepcopy(loader)
    for step in loader.dataset.pipeline:
        transforms = step.get('transforms', [])
        for transform in [transform for transform in transforms[2:] if 'Annotations' in transform['type']]:
            transforms.remove(transform)
            transforms.insert(1, transform)
    return loader


def _stretches(order: Iterable, clips: int, seed: int) -> list[list]:
    """Draw runs of up to ``_STRETCH`` frames of one video; an index of a whole video is a run."""
    runs = []
    for _, indices in groupby(order, key=lambda index: index[0] if isinstance(index, tuple) else index):
        runs += _cut(indices)
    return [runs[place] for place in sorted(random.Random(seed).sample(range(len(runs)), min(clips, len(runs))))]


def _cut(indices: Iterator) -> Iterator[list]:
    while run := list(islice(indices, _STRETCH)):
        yield run


def _draw(dataset: Dataset, indices: list) -> Figure:
    parts = [dataset[index] for index in indices]
    frames = [frame for part in parts for frame in part['inputs']][:_MOST_FRAMES]
    samples = [sample for part in parts for sample in part['data_samples']][:_MOST_FRAMES]
    return clip_figure(frames, samples, dataset.metainfo['classes'])
