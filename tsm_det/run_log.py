"""What a run prints: a summary and progress. Its log file in the work dir has everything, the whole config too."""

from __future__ import annotations

import logging
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.logging import MMLogger, print_log
from mmengine.runner import Runner

from tsm_det.models.pretrained import checked_pretrained, warn_random_backbone
from tsm_det.training_hooks import unwrapped

# Beginnings of messages: mmengine's warnings about its own calls, which no config can avoid; and its long lists.
_NOISE = ('"FileClient"', '"HardDiskBackend"', 'The prefix is not set')
_FILE_ONLY = (f'\n{60 * "-"}\nSystem environment:', 'Config:\n', 'Hooks will be executed in the following order:',
              'paramwise_options -- ')


class LoggedRunner(Runner):
    """mmengine's runner with another log, which says what the backbone of a training starts from."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        arrange_log(logger)
        return logger

    def _init_model_weights(self) -> None:
        if self.cfg.get('load_from'):
            super()._init_model_weights()
            return
        detector = unwrapped(self)
        warn_random_backbone(detector, self.cfg.optim_wrapper)
        with checked_pretrained(detector.backbone):
            super()._init_model_weights()


def arrange_log(logger: logging.Logger) -> None:
    """Leave out noise, keep long lists off the console, and let a full disk end the run."""
    logger.addFilter(lambda record: not record.getMessage().startswith(_NOISE))
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = _raise_again
        else:
            handler.addFilter(lambda record: not record.getMessage().startswith(_FILE_ONLY))


def _raise_again(_: logging.LogRecord) -> None:
    """Let a full disk end the run; logging would print a traceback and go on."""
    raise  # logging calls this where it handles the error


class TrainingSummary(Hook):
    """Logs in four lines what is trained, on what, how long, and where the results go."""

    def before_train(self, runner: Runner) -> None:
        model, loader = unwrapped(runner), runner.train_dataloader
        dataset = loader.dataset
        parameters = sum(parameter.numel() for parameter in model.parameters())
        clips = f' of {dataset.clip_length} frames' if hasattr(dataset, 'clip_length') else ''
        print_log(
            f'training {type(model).__name__}, {parameters / 1e6:.2f} M parameters\n'
            f'  on    {getattr(dataset, "ann_file", type(dataset).__name__)}: {len(dataset)} videos, '
            f'classes {", ".join(dataset.metainfo["classes"])}\n'
            f'  for   {runner.max_iters} steps of {loader.batch_size} clips{clips} per process, '
            f'{runner.world_size} processes\n'
            f'  into  {runner.work_dir}, whole config in {Path(runner.log_dir, runner.timestamp)}.log', 'current')
