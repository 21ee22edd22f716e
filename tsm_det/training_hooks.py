"""Hooks of a training: weights that fit, losses that are numbers, and a checkpoint when the machine is taken away."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from types import FrameType

import torch
from mmengine.dist import all_reduce, barrier
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from tsm_det.errors import InputError
from tsm_det.models.class_names import check_class_count
from tsm_det.models.ignored_regions import spare_ignored_regions
from tsm_det.models.weights import fitted_weights
from tsm_det.saved_checkpoints import save_now

_PATIENCE = 3  # steps without a finite loss
_REPEAT_S = 5


class CheckNumClasses(Hook):
    """Refuses to train a head for another number of classes than the data has, which mmdet would not notice."""

    def before_train(self, runner: Runner) -> None:
        loaders = {'training': runner.train_dataloader}
        if runner.val_loop:
            loaders['validation'] = runner.val_loop.dataloader
        for what, loader in loaders.items():
            check_class_count(unwrapped(runner), loader.dataset.metainfo['classes'], f'the {what} data')


class SpareIgnoredRegions(Hook):
    """Applies :func:`spare_ignored_regions` to a training whose data has ignored regions, and logs what it cannot."""

    def before_train(self, runner: Runner) -> None:
        if not getattr(runner.train_dataloader.dataset, 'num_ignored', 0):
            return
        unable = spare_ignored_regions(unwrapped(runner))
        if unable:
            print_log(f'the data has ignored regions, which are background to {", ".join(unable)}: mask them in the '
                      'images, or take a detector with anchors', 'current', level=30)


class FitCheckpoint(Hook):
    """Names the weights of ``load_from`` as the network does, and refuses to resume from weights alone."""

    priority = 'VERY_HIGH'  # before mmengine's EMAHook reads them

    def __init__(self, checkpoint: str, resume: bool) -> None:
        self.checkpoint, self.resume = checkpoint, resume

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Change the content of the file in place."""
        missing = [key for key in ('optimizer', 'message_hub') if key not in checkpoint] + [
            f'meta.{key}' for key in ('epoch', 'iter') if key not in checkpoint['meta']]
        if self.resume and missing:
            raise InputError(f'{self.checkpoint} has no {missing[0]}, so it is not the checkpoint of a training: start '
                             f'from its weights by --cfg-options load_from={self.checkpoint}')
        checkpoint['state_dict'] = fitted_weights(unwrapped(runner), checkpoint['state_dict'], self.checkpoint)


class StopWithoutLoss(Hook):
    """Ends a training whose loss has not been a finite number for three steps."""

    def __init__(self) -> None:
        self.steps = 0

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Count the steps since the last finite loss."""
        loss = torch.as_tensor((outputs or {}).get('loss', 0)).item()
        self.steps = 0 if math.isfinite(loss) else self.steps + 1
        if self.steps == _PATIENCE:
            raise InputError(f'the loss has been {loss} for {_PATIENCE} steps, until step {runner.iter + 1}: lower '
                             'optim_wrapper.optimizer.lr, or check the boxes of the training data; weights from then '
                             'on are useless, earlier checkpoints are not')


class SaveOnSigterm(Hook):
    """Saves a checkpoint at the end of the step, or of the validation, in which SIGTERM came, and ends the training.

    Of several processes one signalled is enough: all end at the same step. Another SIGTERM ends a process at
    once, unless it comes within five seconds: launchers forward the signal that a process already got.
    When epochs are counted, the interrupted one starts over on ``--resume``.
    """

    priority = 'LOWEST'  # after schedulers, averages and mmengine's CheckpointHook

    def __init__(self) -> None:
        self.received, self._before = False, None

    def before_train(self, runner: Runner) -> None:
        """Handle the signal from now on: there is something to save."""
        if threading.current_thread() is threading.main_thread():
            self._process, self._before = os.getpid(), signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, self._note)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Save what the step has learnt, and end."""
        whole = isinstance(runner.train_loop, EpochBasedTrainLoop) and batch_idx + 1 == len(runner.train_dataloader)
        self._end(runner, runner.epoch + whole, runner.iter + 1)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Save what was validated, and end."""
        self._end(runner, runner.epoch, runner.iter)

    def restore(self) -> None:
        """Leave the signal to whoever handled it before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def _note(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker process of the data loader
            os._exit(128 + number)
        if not self.received:
            self.received, self._repeats_end = True, time.monotonic() + _REPEAT_S
        elif time.monotonic() > self._repeats_end:
            self.restore()
            os.kill(os.getpid(), number)

    def _end(self, runner: Runner, epoch: int, step: int) -> None:
        received = torch.tensor(int(self.received))
        all_reduce(received, 'max')
        if received:
            save_now(runner, epoch, step)
            barrier()  # launchers end the process that saves as soon as another has ended
            raise KeyboardInterrupt(signal.SIGTERM)


def unwrapped(runner: Runner) -> nn.Module:
    """The runner's model without its wrapper for several processes."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
