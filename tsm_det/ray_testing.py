"""Test on the actors of Ray Data: a row is a video, an actor holds a detector, and one process scores all frames."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable
from functools import cached_property
from tempfile import TemporaryDirectory

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch.utils.data import DataLoader
from tqdm import tqdm

from tsm_det.errors import InputError
from tsm_det.fleet.run import ray_module
from tsm_det.runner import in_windows


class TestingActor:
    """Streams one test video after another through a detector; arguments of :func:`test_on_ray`."""

    def __init__(self, prepared: Callable[[Config], Runner], config: Config, folder: str) -> None:
        self._prepared, self._config, self._folder, self._logs = prepared, config, folder, TemporaryDirectory()

    def __call__(self, row: dict) -> dict:
        """Add to a row with the index of a ``video`` its ``results`` by metric, pickled, or the ``error``."""
        try:
            return row | {'results': pickle.dumps(self._results(row['video'])), 'error': ''}
        except InputError as error:
            return row | {'results': b'', 'error': str(error)}

    @cached_property
    def _runner(self) -> Runner:
        try:
            os.chdir(self._folder)
        except OSError as error:
            raise InputError(f'{self._folder}, where the paths of the config count from, cannot be entered on '
                             f'{socket.gethostname()} ({error.strerror}): mount it on all machines') from error
        import_modules_from_strings(**self._config.get('custom_imports', {}))
        self._config.work_dir = self._logs.name
        runner = self._prepared(self._config)
        runner.test_evaluator.evaluate = lambda size: {}  # one video has no score
        self._videos = runner.test_loop.dataloader.dataset
        return runner

    def _results(self, video: int) -> list[list]:
        runner = self._runner
        runner.test_loop.dataloader = runner.build_dataloader(
            {**runner.cfg.test_dataloader, 'dataset': self._videos.get_subset([video])})
        in_windows(runner, 'test_loop')
        for metric in runner.test_evaluator.metrics:
            metric.results.clear()
        runner.test()
        return [metric.results for metric in runner.test_evaluator.metrics]


def test_on_ray(prepared: Callable[[Config], Runner], config: Config, address: str, actors: int | None = None,
                gpus_per_actor: float = 0) -> dict[str, float]:
    """Run a test whose videos are spread over a cluster; the metrics are those of one process.

    Ray gives the video of an actor that died to another one, from its first frame on.

    Args:
        prepared: makes the runner of a config.
        config: its relative paths count from this process's folder, on all machines.
        address: of a Ray cluster; 'local' starts one on this machine, for this run.
        actors, gpus_per_actor: see :func:`tsm_det.fleet.actors.detect_recordings_on_ray`.

    Raises:
        InputError: Ray or its cluster is missing, a number is too small, or a launcher started this process; or a video
            or a detector cannot be tested.
    """
    if config.launcher != 'none':
        raise InputError(f'--ray and --launcher {config.launcher} were given but both spread the videos: give one')
    on_ray = ray_module(actors, gpus_per_actor)
    runner = prepared(config)
    dataset = runner.test_loop.dataloader.dataset
    # One seed, so that all have the same random weights if there is no checkpoint.
    config.randomness = {**config.get('randomness', {}), 'seed': runner.seed}
    lengths = [dataset.get_len_per_video(video) for video in range(len(dataset))]
    results = {}
    cluster = on_ray.connected(None if address == 'local' else address)
    with cluster, tqdm(total=sum(lengths), unit='frame', mininterval=1) as bar:
        rows = [{'video': video} for video in range(len(dataset))]
        for row in on_ray.rows_of_actors(rows, TestingActor, (prepared, config, os.getcwd()), actors, gpus_per_actor):
            if row['error']:
                raise InputError(row['error'])
            results[row['video']] = pickle.loads(row['results'])
            bar.update(lengths[row['video']])
    for _, by_metric in sorted(results.items()):
        for metric, part in zip(runner.test_evaluator.metrics, by_metric, strict=True):
            metric.results += part
    runner.test_loop.dataloader = DataLoader(dataset, sampler=())  # no frame is left: the loop only scores
    return runner.test()
