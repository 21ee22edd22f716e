"""For each kind and level of degradation: train 2D and the shift on bursts of it, test them on the same, compare.

    python docs/programs/level_trainings.py OUT ANNOTATIONS BACKBONE [LEVEL ...]

OUT gets a folder per level, ANNOTATIONS are those of the test, BACKBONE is a file of pretrained weights. An interrupted
run goes on with the same command.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch
from degradation_map import KINDS, LEVELS, compare_arms, config_of, insert_bursts
from mmengine.config import Config
from tqdm import tqdm

from tsm_det.runner import test, train

ARMS = ('2d', 'shift')
NAMES = [*KINDS, 'FrozenFrames_2', 'FrozenFrames_4', 'FrozenFrames_8']
# Trained with three seeds; the others with one.
THREE_SEEDS = ('MotionBlur_10',)


def jobs(names: list[str], out: Path) -> Iterator[tuple[str, str, int, Path]]:
    """Level, arm, seed and file of detections of each run."""
    for name in names:
        for seed in range(3 if name in THREE_SEEDS else 1):
            for arm in ARMS:
                yield name, arm, seed, out / name / f'{arm}_seed{seed}.pkl'


def training_config(name: str, arm: str, seed: int, annotations: str, backbone: str, work_dir: str) -> Config:
    """The config of an arm, trained and tested at a level."""
    config = config_of(name, arm, annotations, work_dir)
    config.randomness.seed = seed
    config.train_cfg.val_begin = 1_000_000
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=backbone)
    clips = config.train_dataloader.dataset.pipeline[1]
    clips.transforms = [transform for transform in clips.transforms if transform['type'] != 'RandomBursts']
    kind, length, gap = LEVELS[name]
    insert_bursts(clips.transforms, dict(type='Bursts', transforms=[kind], length=length, gap=gap))
    return config


def train_and_test(name: str, arm: str, seed: int, file: Path, annotations: str, backbone: str) -> None:
    """Write the detections of one arm at one level."""
    torch.set_num_threads(1)
    config = training_config(name, arm, seed, annotations, backbone, str(file.with_suffix('')))
    checkpoint = train(config, amp=True, resume=True)  # changes the config
    config = training_config(name, arm, seed, annotations, backbone, str(file.with_suffix('')))
    test(config, str(checkpoint), str(file), engine='fast')


def main(out: Path, annotations: str, backbone: str, names: list[str]) -> None:
    """Do what is left."""
    todo = [job for job in jobs(names, out) if not job[-1].exists()]
    with ProcessPoolExecutor(os.cpu_count(), get_context('spawn'), max_tasks_per_child=1) as pool:
        runs = [pool.submit(train_and_test, *job, annotations, backbone) for job in todo]
        for done in tqdm(as_completed(runs), total=len(todo)):
            done.result()
    for name in names:
        compare_arms(name, {arm: [job[-1] for job in jobs([name], out) if job[1] == arm] for arm in ARMS}, out / name,
                     annotations)


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:] or NAMES)
