"""Test detectors on each kind and level of degradation, in bursts and throughout, and compare the arms with 2D on each.

    python docs/programs/degradation_map.py RUNS OUT ANNOTATIONS

RUNS has work directories of tools/train.py, RUNS/ARM/SEED. OUT gets a folder per kind and level.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from mmengine.config import Config
from tqdm import tqdm

from tsm_det import config_path
from tsm_det.comparison.comparison import compare
from tsm_det.comparison.runs import runs_of_results
from tsm_det.comparison.summary import VideoTable
from tsm_det.config import load_config, parse_options
from tsm_det.runner import test

CONFIGS = {
    '2d': 'faster_rcnn_mobilenetv2_thermal_degraded',
    'shift': 'tsm_faster_rcnn_mobilenetv2_thermal_degraded',
    'gate': 'tsm_faster_rcnn_mobilenetv2_thermal_degraded_gate'}
_TRAINED = load_config(CONFIGS['shift'])
KINDS = {f'{kind["type"]}_{kind[level]}': kind for kind in _TRAINED.kinds for level in kind if level != 'type'}
# By name: the degradation, the frames of a burst, and those of the gap after it.
LEVELS = {
    **{name: (kind, 4, 4) for name, kind in KINDS.items()},
    **{f'FrozenFrames_{n}': (dict(type='FrozenFrames'), n, n) for n in _TRAINED.lengths},
    **{f'SensorNoise_120_length_{n}': (KINDS['SensorNoise_120'], n, n) for n in _TRAINED.lengths if n != 4},
    # The second of three levels of each kind, on every frame.
    **{f'{name}_always': (kind, 1, 0) for name, kind in list(KINDS.items())[1::3]}}
# Tested with every seed; the others with the first.
ALL_SEEDS = ('SensorNoise_120',)


def jobs(runs: Path, out: Path) -> Iterator[tuple[str, str, Path, Path]]:
    """Level, arm, work directory and file of detections of each test."""
    for name in (*ALL_SEEDS, *(name for name in LEVELS if name not in ALL_SEEDS)):
        for arm in CONFIGS:
            for folder in sorted((runs / arm).iterdir())[:None if name in ALL_SEEDS else 1]:
                yield name, arm, folder, out / name / f'{arm}_seed{folder.name}.pkl'


def options(name: str, annotations: str) -> list[str]:
    """Config keys of the test frames, and of which of them are in a burst."""
    _, length, gap = LEVELS[name]
    places = 'test_dataloader.dataset.pipeline.0.transforms.2', 'test_evaluator.bursts'
    return [f'test_dataloader.dataset.ann_file={annotations}', f'test_evaluator.ann_file={annotations}',
            *(f'{place}.{key}={number}' for place in places for key, number in (('length', length), ('gap', gap)))]


def config_of(name: str, arm: str, annotations: str, work_dir: str) -> Config:
    """The config of an arm, tested at a level."""
    config = load_config(config_path(CONFIGS[arm]), parse_options(options(name, annotations)), work_dir)
    transforms = config.test_dataloader.dataset.pipeline[0].transforms
    kind, _, _ = LEVELS[name]
    bursts = transforms.pop(2)
    bursts.transforms = [kind]
    insert_bursts(transforms, bursts)
    return config


def insert_bursts(transforms: list[dict], bursts: dict) -> None:
    """Put bursts where they belong: lost frames before loading, degraded pixels after it."""
    transforms.insert(0 if bursts['transforms'][0]['type'] == 'FrozenFrames' else 2, bursts)


def detect(name: str, arm: str, folder: Path, file: Path, annotations: str) -> None:
    """Write the detections of one run at one level."""
    config = config_of(name, arm, annotations, str(file.with_suffix('')))
    test(config, (folder / 'last_checkpoint').read_text(), str(file), engine='fast')


def main(runs: Path, out: Path, annotations: str) -> None:
    """Do what is left."""
    todo = [job for job in jobs(runs, out) if not job[-1].exists()]
    with ProcessPoolExecutor(os.cpu_count(), get_context('spawn')) as pool:
        for done in tqdm(as_completed([pool.submit(detect, *job, annotations) for job in todo]), total=len(todo)):
            done.result()
    for name in LEVELS:
        compare_arms(name, {arm: [job[-1] for job in jobs(runs, out) if job[:2] == (name, arm)] for arm in CONFIGS},
                     out / name, annotations)


def compare_arms(name: str, files: dict[str, list[Path]], out: Path, annotations: str) -> None:
    """Compare the arms with 2D by their files of detections at a level, one per seed."""
    words = [[arm, config_path(CONFIGS[arm]), *map(str, found)] for arm, found in files.items()]
    compare(runs_of_results(words, out, options(name, annotations)), '2d', out, latency_frames=0,
            videos=VideoTable(f'{os.environ["TSM_DET_THERMAL"]}/scenes.csv'),
            command=f'docs/programs/{Path(sys.argv[0]).name}: {name}')


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
