"""Train and test a config: the library side of tools/train.py and tools/test.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from mmdet.registry import DATASETS, RUNNERS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from tsm_det.cocovid.read import read_coco_vid
from tsm_det.config import dataset_config, evaluators_of
from tsm_det.config_errors import config_errors
from tsm_det.datasets.coco_vid import CocoVIDDataset, refuse_mixing
from tsm_det.datasets.window_loader import WindowLoader
from tsm_det.distributed import is_first_process, process_group
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.evaluation.dumping import DrawDetections, DumpDetections
from tsm_det.evaluation.score_averaging import ScoreAveraging
from tsm_det.evaluation.subsets import check_bursts
from tsm_det.evaluation.vid_metric import VIDMetric
from tsm_det.files import check_folder, check_writable, needing_room, write_json
from tsm_det.locks import locked
from tsm_det.malloc import keep_freed_memory
from tsm_det.mixed_precision import cpu_optim_wrapper
from tsm_det.models.checkpoint_file import plain_files_only, read_checkpoint
from tsm_det.models.class_names import check_class_count, check_learned_classes
from tsm_det.models.depthwise import quicken_depthwise
from tsm_det.models.loading import warn_random_weights
from tsm_det.models.trained_config import warn_of_other_config
from tsm_det.models.weights import load_weights
from tsm_det.run_log import LoggedRunner, TrainingSummary, arrange_log
from tsm_det.saved_checkpoints import checkpoint_to_resume, last_checkpoint, write_whole
from tsm_det.training_hooks import (
    CheckNumClasses,
    FitCheckpoint,
    SaveOnSigterm,
    SpareIgnoredRegions,
    StopWithoutLoss,
    unwrapped,
)


def train(config: Config, amp: bool = False, auto_scale_lr: bool = False, resume: str | bool = False,
          trust_checkpoint: bool = False) -> Path:
    """Train a config; checkpoints and logs go to its ``work_dir``.

    On the CPU the process keeps freed memory from then on.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        amp: train in mixed precision: float16 with CUDA, bfloat16 on a CPU.
        auto_scale_lr: scale the learning rate to the batch size.
        resume: a checkpoint, or True for the last one of ``work_dir`` if there is one.
        trust_checkpoint: load checkpoints of more than tensors and plain values, which may run any program.

    Returns:
        The last checkpoint.

    Raises:
        InputError: the annotation file or a key of the config is missing, a checkpoint cannot be loaded, another
            training writes into ``work_dir``, the disk is full, or the loss is not a number.
        KeyboardInterrupt: with a ``note`` that names the last checkpoint; SIGTERM saves one first.
    """
    if amp:
        config.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    if auto_scale_lr:
        if 'base_batch_size' not in config.get('auto_scale_lr', {}):
            raise InputError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config: add it')
        config.auto_scale_lr.enable = True
    with ExitStack() as stack:
        stack.enter_context(config_errors(config))
        stack.enter_context(needing_room(config.work_dir))
        check_folder(config.work_dir)
        if is_first_process(config):
            stack.enter_context(locked(config.work_dir))
        stack.enter_context(plain_files_only(trust_checkpoint))
        _choose_checkpoint(config, resume, trust_checkpoint)
        check_data(config, 'train_dataloader', 'val_dataloader')
        if get_device() == 'cpu':
            keep_freed_memory()
            config.optim_wrapper = cpu_optim_wrapper(config.optim_wrapper)
        sampler = config.train_dataloader.get('sampler', {})
        if sampler.get('type') == 'KeyFrameSampler' and (
                config.train_cfg.get('by_epoch', config.train_cfg.get('type') == 'EpochBasedTrainLoop')):
            sampler.setdefault('by_epoch', True)
        stack.enter_context(process_group(config))
        runner = _runner(config)
        if config.optim_wrapper.get('type') == 'CPUAmpOptimWrapper':
            quicken_depthwise(runner.model)
        _run_training(runner)
        barrier()  # the main process writes last_checkpoint, all read it
    return last_checkpoint(config.work_dir)


def _choose_checkpoint(config: Config, resume: str | bool, trust: bool) -> None:
    """Set ``load_from`` and ``resume``; without a checkpoint in work_dir, a training starts from ``load_from``."""
    load_from = config.get('load_from')
    resume = resume or (config.get('resume') and (load_from or True))
    chosen = checkpoint_to_resume(config.work_dir, trust) if resume is True else resume
    config.resume, config.load_from = bool(chosen), str(chosen) if chosen else load_from
    if config.load_from:
        read_checkpoint(config.load_from, trust=trust)


def _run_training(runner: Runner) -> None:
    on_sigterm = SaveOnSigterm()
    for hook in (TrainingSummary(), CheckNumClasses(), SpareIgnoredRegions(), StopWithoutLoss(), on_sigterm,
                 FitCheckpoint(runner.cfg.load_from, runner.cfg.resume)):
        runner.register_hook(hook)
    write_whole(runner)
    if runner.cfg.get('val_cfg'):
        in_windows(runner, 'val_loop')
    try:
        runner.train()
    except KeyboardInterrupt as end:
        last = last_checkpoint(runner.work_dir)
        end.note = (f'--resume continues from the last checkpoint, {last}' if last else
                    f'no checkpoint was saved in {runner.work_dir} yet, so --resume starts from the beginning')
        raise
    finally:
        on_sigterm.restore()


def test_here(prepared: Callable[[Config], Runner], config: Config) -> dict[str, float]:
    """Run a test in this process, or in those of a launcher."""
    return prepared(config).test()


def test(config: Config, checkpoint: str | None, out: str | None = None, show_dir: str | None = None,
         metrics: str | None = None, engine: str = 'eager', trust_checkpoint: bool = False,
         average: int | None = None, run: Callable[..., dict[str, float]] = test_here) -> dict[str, float]:
    """Stream every test video frame by frame, or in windows if the detector reads future frames, and score it.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        checkpoint: path; None for random weights.
        out: ``.pkl`` file for the detections of all frames, in mmdet's format.
        show_dir: folder for the frames with their detections drawn in.
        metrics: JSON file for all metrics, null for undefined ones.
        engine: how to run the model, one of ``tsm_det.engines.ENGINES``.
        trust_checkpoint: load a checkpoint of more than tensors and plain values, which may run any program.
        average: frames to average class scores over, see :mod:`tsm_det.evaluation.score_averaging`; None: do not.
        run: ``run(prepared, config)`` gives the metrics of the runner ``prepared(config)``, see
            :mod:`tsm_det.ray_testing`.

    Returns:
        All metrics.

    Raises:
        InputError: a file is missing, does not match, or is another run's output.
    """
    if out and not out.endswith(('.pkl', '.pickle')):
        raise InputError(f'--out is {out} but detections are written as .pkl: give a name ending in .pkl')
    for path in filter(None, (out, metrics)):
        check_writable(path)
    if show_dir:
        check_folder(show_dir)
    config.load_from, config.resume = None, False
    with ExitStack() as stack:
        stack.enter_context(config_errors(config))
        check_data(config, 'test_dataloader')
        if is_first_process(config):
            stack.enter_context(locked(out, metrics, show_dir))
        stack.enter_context(process_group(config))
        results = run(partial(_test_runner, checkpoint, out, show_dir, engine, trust_checkpoint, average), config)
        if metrics and is_main_process():
            write_json({name: None if math.isnan(value) else value for name, value in results.items()}, metrics, 2)
        return results


def _test_runner(checkpoint: str | None, out: str | None, show_dir: str | None, engine: str, trust_checkpoint: bool,
                 average: int | None, config: Config) -> Runner:
    """A runner that is ready to test; arguments of :func:`test`."""
    with config_errors(config), plain_files_only(trust_checkpoint):
        runner = _runner(config)
        model = unwrapped(runner)
        if checkpoint is None:
            warn_random_weights()
        content = {} if checkpoint is None else load_weights(model, checkpoint, trust_checkpoint)
        warn_of_other_config(config, content, checkpoint)
        _check_classes(runner, content, checkpoint)
        if engine != 'eager':
            runner.model = with_engine(model, engine, config)
        in_windows(runner, 'test_loop')
        if average:
            classes = runner.test_loop.dataloader.dataset.metainfo['classes']
            runner.model.register_forward_hook(ScoreAveraging(len(classes), average))
        if out:
            runner.test_evaluator.metrics.append(DumpDetections(out))
        if show_dir:
            runner.register_hook(DrawDetections(show_dir))
        return runner


def check_data(config: Config, loader: str, *optional: str) -> None:
    """Raise InputError when a dataloader is missing or mixes clips, or some annotations are unusable."""
    init_default_scope(config.get('default_scope', 'mmdet'))
    dataset_config(config, loader)
    for name in (loader, *optional):
        if config.get(name):
            dataset = DATASETS.build({**config[name].dataset, 'lazy_init': True})
            refuse_mixing(dataset)
            if isinstance(dataset, CocoVIDDataset):
                dataset.check_file()
        for evaluator in evaluators_of(config, name.replace('dataloader', 'evaluator')):
            if evaluator.get('type') in ('VIDMetric', 'mmdet.VIDMetric', VIDMetric):
                read_coco_vid(evaluator['ann_file'])
                if evaluator.get('bursts') and isinstance(dataset, CocoVIDDataset):
                    check_bursts(evaluator['bursts'], dataset.steps)


def _check_classes(runner: Runner, content: dict, checkpoint: str | None) -> None:
    """Refuse to score labels under other class names than those of the training, or than the model has classes."""
    model, scored = unwrapped(runner), tuple(runner.test_loop.dataloader.dataset.metainfo['classes'])
    learned = check_learned_classes(model, content, checkpoint)
    if learned and learned != scored:
        raise InputError(f'the checkpoint knows the classes {", ".join(learned)} but the test data has '
                         f'{", ".join(scored)}: set test_dataloader.dataset.metainfo.classes to the checkpoint\'s')
    check_class_count(model, scored, 'the test data', 'set test_dataloader.dataset.metainfo.classes to those of the '
                      'training, or {key} to {count}')


def in_windows(runner: Runner, loop: str) -> None:
    """Let a loop give whole windows of a video to a detector that reads future frames."""
    model = unwrapped(runner)
    if getattr(model, 'direction', 'past') == 'both':
        loop = getattr(runner, loop)
        loop.dataloader = WindowLoader(loop.dataloader, model.window, model.margin)


def _runner(config: Config) -> Runner:
    check_folder(config.work_dir)
    if 'runner_type' not in config:
        return LoggedRunner.from_cfg(config)
    runner = RUNNERS.build(config)
    arrange_log(runner.logger)
    return runner
