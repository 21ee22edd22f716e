"""Train and test a config: the library side of tools/train.py and tools/test.py."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from mmdet.registry import DATASETS, RUNNERS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from tsm_det.cocovid.read import read_coco_vid
from tsm_det.config import dataset_config, evaluators_of
from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.datasets.window_loader import WindowLoader
from tsm_det.distributed import process_group
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.evaluation.dumping import DrawDetections, DumpDetections
from tsm_det.evaluation.vid_metric import VIDMetric
from tsm_det.files import check_folder, check_writable, write_json
from tsm_det.malloc import keep_freed_memory
from tsm_det.mixed_precision import cpu_optim_wrapper
from tsm_det.models.class_names import check_class_count, check_learned_classes
from tsm_det.models.ignored_regions import SpareIgnoredRegions
from tsm_det.models.loading import load_weights, read_checkpoint, trusted_classes, warn_random_weights

# Warnings of mmengine about its own calls, which no config can avoid.
_MMENGINE_NOISE = ('"FileClient"', '"HardDiskBackend"', 'The prefix is not set')


def train(config: Config, amp: bool = False, auto_scale_lr: bool = False, resume: str | bool = False) -> Path:
    """Train a config; checkpoints and logs go to its ``work_dir``.

    On the CPU the process keeps freed memory from then on.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        amp: train in mixed precision: float16 with CUDA, bfloat16 on a CPU.
        auto_scale_lr: scale the learning rate to the batch size.
        resume: a checkpoint, or True for the last one of ``work_dir`` if there is one.

    Returns:
        The last checkpoint.

    Raises:
        InputError: the annotation file or a key of the config is missing.
        KeyboardInterrupt: with a ``note`` that names the last checkpoint.
    """
    if amp:
        config.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    if auto_scale_lr:
        if 'base_batch_size' not in config.get('auto_scale_lr', {}):
            raise InputError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config: add it')
        config.auto_scale_lr.enable = True
    # Without a checkpoint in work_dir, training starts from the config's load_from if it has one.
    if checkpoint := _last_checkpoint(config.work_dir) if resume is True else resume:
        config.resume, config.load_from = True, str(checkpoint)
    if config.load_from:
        read_checkpoint(config.load_from)
    check_data(config, 'train_dataloader', 'val_dataloader')
    if get_device() == 'cpu':
        keep_freed_memory()
        config.optim_wrapper = cpu_optim_wrapper(config.optim_wrapper)
    sampler = config.train_dataloader.get('sampler', {})
    if sampler.get('type') == 'KeyFrameSampler' and (
            config.train_cfg.get('by_epoch', config.train_cfg.get('type') == 'EpochBasedTrainLoop')):
        sampler.setdefault('by_epoch', True)
    with process_group(config), trusted_classes():
        runner = _runner(config)
        for hook in (_CheckNumClasses(), SpareIgnoredRegions()):
            runner.register_hook(hook)
        if config.get('val_cfg'):
            _in_windows(runner, 'val_loop')
        try:
            runner.train()
        except KeyboardInterrupt as end:
            last = _last_checkpoint(config.work_dir)
            end.note = (f'--resume continues from the last checkpoint, {last}' if last else
                        f'no checkpoint was saved in {config.work_dir} yet, so --resume starts from the beginning')
            raise
        barrier()  # the main process writes last_checkpoint, all read it
    return _last_checkpoint(config.work_dir)


def test(config: Config, checkpoint: str | None, out: str | None = None, show_dir: str | None = None,
         metrics: str | None = None, engine: str = 'eager') -> dict[str, float]:
    """Stream every test video frame by frame, or in windows if the detector reads future frames, and score it.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        checkpoint: path; None for random weights.
        out: ``.pkl`` file for the detections of all frames, in mmdet's format.
        show_dir: folder for the frames with their detections drawn in.
        metrics: JSON file for all metrics, null for undefined ones.
        engine: how to run the model, one of ``tsm_det.engines.ENGINES``.

    Returns:
        All metrics.

    Raises:
        InputError: a file is missing or does not match.
    """
    if out and not out.endswith(('.pkl', '.pickle')):
        raise InputError(f'--out is {out} but detections are written as .pkl: give a name ending in .pkl')
    for path in filter(None, (out, metrics)):
        check_writable(path)
    if show_dir:
        check_folder(show_dir)
    check_data(config, 'test_dataloader')
    config.load_from, config.resume = None, False
    with process_group(config):
        runner = _runner(config)
        model = _unwrapped(runner)
        if checkpoint is None:
            warn_random_weights()
        content = {} if checkpoint is None else load_weights(model, checkpoint)
        _check_classes(runner, content, checkpoint)
        if engine != 'eager':
            runner.model = with_engine(model, engine)
        _in_windows(runner, 'test_loop')
        if out:
            runner.test_evaluator.metrics.append(DumpDetections(out))
        if show_dir:
            runner.register_hook(DrawDetections(show_dir))
        results = runner.test()
        if metrics and is_main_process():
            write_json({name: None if math.isnan(value) else value for name, value in results.items()}, metrics, 2)
        return results


def check_data(config: Config, loader: str, *optional: str) -> None:
    """Raise InputError when a dataloader is missing, or annotations of these dataloaders or evaluators are unusable."""
    init_default_scope(config.get('default_scope', 'mmdet'))
    dataset_config(config, loader)
    for name in (loader, *optional):
        if config.get(name):
            dataset = DATASETS.build({**config[name].dataset, 'lazy_init': True})
            if isinstance(dataset, CocoVIDDataset):
                dataset.check_file()
        for evaluator in evaluators_of(config, name.replace('dataloader', 'evaluator')):
            if evaluator.get('type') in ('VIDMetric', 'mmdet.VIDMetric', VIDMetric):
                read_coco_vid(evaluator['ann_file'])


class _CheckNumClasses(Hook):
    """Refuses to train a head for another number of classes than the data has, which mmdet would not notice."""

    def before_train(self, runner: Runner) -> None:
        loaders = {'training': runner.train_dataloader}
        if runner.val_loop:
            loaders['validation'] = runner.val_loop.dataloader
        for what, loader in loaders.items():
            check_class_count(_unwrapped(runner), loader.dataset.metainfo['classes'], f'the {what} data')


def _check_classes(runner: Runner, content: dict, checkpoint: str | None) -> None:
    """Refuse to score labels under other class names than those of the training, or than the model has classes."""
    model, scored = _unwrapped(runner), tuple(runner.test_loop.dataloader.dataset.metainfo['classes'])
    learned = check_learned_classes(model, content, checkpoint)
    if learned and learned != scored:
        raise InputError(f'the checkpoint knows the classes {", ".join(learned)} but the test data has '
                         f'{", ".join(scored)}: set test_dataloader.dataset.metainfo.classes to the checkpoint\'s')
    check_class_count(model, scored, 'the test data', 'set test_dataloader.dataset.metainfo.classes to those of the '
                      'training, or {key} to {count}')


def _in_windows(runner: Runner, loop: str) -> None:
    """Let a loop give whole windows of a video to a detector that reads future frames."""
    model = _unwrapped(runner)
    if getattr(model, 'direction', 'past') == 'both':
        loop = getattr(runner, loop)
        loop.dataloader = WindowLoader(loop.dataloader, model.window, model.margin)


def _last_checkpoint(work_dir: str) -> Path | None:
    record = Path(work_dir, 'last_checkpoint')
    if not record.is_file():
        return None
    if not (path := record.read_text().strip()):
        raise InputError(f'{record} is empty because a training was killed while writing it: write the path of a '
                         'checkpoint into it, or remove it to start over')
    return Path(path)


def _runner(config: Config) -> Runner:
    check_folder(config.work_dir)
    runner = RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
    runner.logger.addFilter(lambda record: not record.getMessage().startswith(_MMENGINE_NOISE))
    return runner


def _unwrapped(runner: Runner) -> torch.nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
