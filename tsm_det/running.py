"""Train and test a config: what tools/train.py and tools/test.py call."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from mmdet.registry import DATASETS, RUNNERS
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.errors import InputError
from tsm_det.evaluation.outputs import DrawDetections, DumpDetections
from tsm_det.json_file import write_json
from tsm_det.models.loading import load_weights


def load_config(path: str, cfg_options: dict | None = None, work_dir: str | None = None,
                launcher: str = 'none') -> Config:
    """Read a config file and set where its run writes: ``work_dir``, else the config's, else work_dirs/NAME.

    The option ``data_root`` moves every path of the config that starts with the config's ``data_root``.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    if not Path(path).is_file():
        raise InputError(f'the config {path} is missing: give a file, for example one of configs/')
    try:
        config = Config.fromfile(path)
    except (SyntaxError, OSError, ImportError) as error:
        raise InputError(f'the config {path} cannot be read ({error}): mend it or take one of configs/') from error
    if 'data_root' in (cfg_options or {}):
        config = Config(_rebased(config.to_dict(), config.get('data_root'), cfg_options['data_root']))
    config.merge_from_dict(cfg_options or {})
    config.work_dir = work_dir or config.get('work_dir') or str(Path('work_dirs', Path(path).stem))
    config.launcher = launcher
    return config


def train(config: Config, amp: bool = False, auto_scale_lr: bool = False, resume: str | bool = False) -> Path:
    """Train as the config says; checkpoints and logs go to its ``work_dir``.

    Args:
        config: from :func:`load_config`.
        amp: train in mixed precision, which needs CUDA.
        auto_scale_lr: scale the learning rate to the batch size.
        resume: a checkpoint, or True for the latest of ``work_dir``.

    Returns:
        The last checkpoint.

    Raises:
        InputError: the annotation file, CUDA or a key of the config is missing.
    """
    if amp:
        if not torch.cuda.is_available():
            raise InputError('--amp needs CUDA and this machine has none: train without --amp')
        config.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    if auto_scale_lr:
        if 'base_batch_size' not in config.get('auto_scale_lr', {}):
            raise InputError('--auto-scale-lr needs auto_scale_lr.base_batch_size, which the config has not: add it')
        config.auto_scale_lr.enable = True
    if resume:
        config.resume, config.load_from = True, None if resume is True else resume
    _check_data(config, 'train_dataloader', 'val_dataloader')
    runner = _runner(config)
    runner.train()
    return Path((Path(config.work_dir) / 'last_checkpoint').read_text())


def test(config: Config, checkpoint: str | None, out: str | None = None, show_dir: str | None = None,
         metrics: str | None = None) -> dict[str, float]:
    """Stream every test video frame by frame and score it.

    Args:
        config: from :func:`load_config`.
        checkpoint: path; None is random weights.
        out: ``.pkl`` file for the detections of all frames, in mmdet's format.
        show_dir: folder for the frames with their detections drawn in.
        metrics: JSON file for all metrics, null where one is undefined.

    Returns:
        All metrics.

    Raises:
        InputError: a file is missing or does not fit.
    """
    if out and not out.endswith(('.pkl', '.pickle')):
        raise InputError(f'--out is {out} but detections are written as .pkl: choose such a name')
    _check_data(config, 'test_dataloader')
    config.load_from, config.resume = None, False
    runner = _runner(config)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if checkpoint is None:
        print_log('random weights: these metrics mean nothing', 'current', level=30)
    else:
        load_weights(model, checkpoint)
    if out:
        runner.test_evaluator.metrics.append(DumpDetections(out))
    if show_dir:
        runner.register_hook(DrawDetections(show_dir))
    results = runner.test()
    if metrics and is_main_process():
        values = {name: None if math.isnan(value) else value for name, value in results.items()}
        write_json(values, metrics, indent=2)
    return results


def _rebased(node, old: str | None, new: str):
    """The same tree of a config, with paths under ``old`` moved under ``new``."""
    if isinstance(node, dict):
        return {key: _rebased(value, old, new) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_rebased(value, old, new) for value in node)
    if old and isinstance(node, str) and node.startswith(old):
        return str(Path(new, node[len(old):])) + ('/' if node.endswith('/') else '')
    return node


def _runner(config: Config) -> Runner:
    return RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)


def _check_data(config: Config, *loaders: str) -> None:
    """Say that annotations are missing before anything is built."""
    init_default_scope(config.get('default_scope', 'mmdet'))
    for loader in loaders:
        if config.get(loader):
            dataset = DATASETS.build({**config[loader].dataset, 'lazy_init': True})
            if isinstance(dataset, CocoVIDDataset):
                dataset.check_file()
