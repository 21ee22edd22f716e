"""Train and test a config: what tools/train.py and tools/test.py call."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from mmdet.registry import DATASETS, RUNNERS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, find_latest_checkpoint

from tsm_det.cocovid.truth_file import read_truth
from tsm_det.config import dataset_config, evaluators_of
from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.distributed import process_group
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.evaluation.dumping import DrawDetections, DumpDetections
from tsm_det.evaluation.vid_metric import VIDMetric
from tsm_det.files import check_folder, check_writable, write_json
from tsm_det.malloc import keep_freed_memory
from tsm_det.models.loading import check_readable, load_weights


def train(config: Config, amp: bool = False, auto_scale_lr: bool = False, resume: str | bool = False) -> Path:
    """Train as the config says; checkpoints and logs go to its ``work_dir``.

    On a processor the process keeps the memory that it frees from then on.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        amp: train in mixed precision, which needs CUDA.
        auto_scale_lr: scale the learning rate to the batch size.
        resume: a checkpoint, or True for the latest of ``work_dir`` if there is one.

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
    # A training that has no checkpoint yet begins as the config says, from its load_from if it has one.
    if begun := _latest_checkpoint(config.work_dir) if resume is True else resume:
        config.resume, config.load_from = True, begun
    if config.load_from:
        check_readable(config.load_from)
    dataset_config(config, 'train_dataloader')
    check_data(config, 'train_dataloader', 'val_dataloader')
    if get_device() == 'cpu':
        keep_freed_memory()
    with process_group(config):
        runner = _runner(config)
        runner.register_hook(CheckNumClasses())
        runner.train()
        barrier()  # the main process writes last_checkpoint, all of them read it
    return Path((Path(config.work_dir) / 'last_checkpoint').read_text())


def test(config: Config, checkpoint: str | None, out: str | None = None, show_dir: str | None = None,
         metrics: str | None = None, engine: str = 'eager') -> dict[str, float]:
    """Stream every test video frame by frame and score it.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        checkpoint: path; None is random weights.
        out: ``.pkl`` file for the detections of all frames, in mmdet's format.
        show_dir: folder for the frames with their detections drawn in.
        metrics: JSON file for all metrics, null where one is undefined.
        engine: how the model is run, one of ``tsm_det.engines.ENGINES``.

    Returns:
        All metrics.

    Raises:
        InputError: a file is missing or does not fit.
    """
    if out and not out.endswith(('.pkl', '.pickle')):
        raise InputError(f'--out is {out} but detections are written as .pkl: choose such a name')
    for path in filter(None, (out, metrics)):
        check_writable(path)
    if show_dir:
        check_folder(show_dir)
    dataset_config(config, 'test_dataloader')
    check_data(config, 'test_dataloader')
    config.load_from, config.resume = None, False
    with process_group(config):
        return _test(_runner(config), checkpoint, out, show_dir, metrics, engine)


def _test(runner: Runner, checkpoint: str | None, out: str | None, show_dir: str | None,
          metrics: str | None, engine: str) -> dict[str, float]:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if checkpoint is None:
        print_log('random weights: these metrics mean nothing', 'current', level=30)
    else:
        _check_classes(load_weights(model, checkpoint), runner)
    if engine != 'eager':
        runner.model = with_engine(model, engine)
    if out:
        runner.test_evaluator.metrics.append(DumpDetections(out))
    if show_dir:
        runner.register_hook(DrawDetections(show_dir))
    results = runner.test()
    if metrics and is_main_process():
        values = {name: None if math.isnan(value) else value for name, value in results.items()}
        write_json(values, metrics, indent=2)
    return results


def check_data(config: Config, *loaders: str) -> None:
    """Raise InputError when annotations of some dataloaders, or those that they are scored by, are not to be used."""
    init_default_scope(config.get('default_scope', 'mmdet'))
    for loader in loaders:
        if config.get(loader):
            dataset = DATASETS.build({**config[loader].dataset, 'lazy_init': True})
            if isinstance(dataset, CocoVIDDataset):
                dataset.check_file()
        for evaluator in evaluators_of(config, loader.replace('dataloader', 'evaluator')):
            if evaluator.get('type') in ('VIDMetric', 'mmdet.VIDMetric', VIDMetric):
                read_truth(evaluator['ann_file'])


class CheckNumClasses(Hook):
    """Refuses to train a head for another number of classes than the data has; mmdet would take some for background."""

    def before_train(self, runner: Runner) -> None:
        """Raise InputError when the numbers differ."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        classes, number = runner.train_dataloader.dataset.metainfo['classes'], model.roi_head.bbox_head.num_classes
        if len(classes) != number:
            raise InputError(f'the model has {number} classes but the training data has {len(classes)} '
                             f'({", ".join(classes)}): set model.roi_head.bbox_head.num_classes to {len(classes)}')


def _latest_checkpoint(work_dir: str) -> str | None:
    latest = find_latest_checkpoint(work_dir)
    if latest == '':
        raise InputError(f'{work_dir}/last_checkpoint is empty, since a training was killed as it wrote it: write the '
                         'path of a checkpoint into it, or remove it to begin anew')
    return latest


def _runner(config: Config) -> Runner:
    check_folder(config.work_dir)
    return RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)


def _check_classes(checkpoint: dict, runner: Runner) -> None:
    """Refuse to score labels under other names than those they were learned by."""
    learned = checkpoint.get('meta', {}).get('dataset_meta', {}).get('classes')
    scored = runner.test_loop.dataloader.dataset.metainfo['classes']
    if learned and tuple(learned) != tuple(scored):
        raise InputError(f'the checkpoint knows the classes {", ".join(learned)} but the test data has '
                         f'{", ".join(scored)}: set test_dataloader.dataset.metainfo.classes to the checkpoint\'s')
