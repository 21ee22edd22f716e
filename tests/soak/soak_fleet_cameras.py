"""Cameras of a fleet whose machine dies while they are away; the run then goes on in other groups; by make soak."""

import json
import os
import signal
import threading
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip('ray', reason="needs pip install 'tsm_det[ray]'")
from ray.cluster_utils import Cluster

from tests.soak.servers import Send, mjpeg_camera
from tests.waiting import eventually
from tsm_det.fleet.recordings import Job
from tsm_det.fleet.run import run_cameras
from tsm_det.published import published

LIMIT_S = 300
MAX_GAP = 30
NAMES = ['gate', 'yard', 'roof', 'hall']
# After the first connection the camera is away for two.
SCRIPT = [[Send(10**6, 5)], [], [], *[[Send(10**6, 5)]] * 9]


@pytest.fixture
def listed(video_frame, tmp_path):
    """A file of four cameras."""
    with ExitStack() as stack:
        addresses = [stack.enter_context(mjpeg_camera(SCRIPT, video_frame))[1] for _ in NAMES]
        (tmp_path / 'cameras.yaml').write_text(''.join(f'{name}: {address}\n' for name, address in zip(
            NAMES, addresses, strict=True)))
        yield str(tmp_path / 'cameras.yaml')


def run_until(steps, *args):
    """Run cameras while a thread takes steps, then interrupt."""
    def take():
        try:
            steps()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_cameras(*args)
    thread.join()


def test_a_machine_dies_and_the_run_goes_on_in_other_groups(listed, tmp_path):
    job = Job(str(tmp_path / 'out'), *published('synthvid'), save_every=5, max_gap=MAX_GAP)
    cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=4, include_dashboard=False))
    node = cluster.add_node(num_cpus=4)

    def lines(name):
        path = Path(job.out, f'{name}.jsonl')
        text = path.read_text() if path.exists() else ''
        return [json.loads(line) for line in text[:text.rfind('\n') + 1].splitlines()]

    def grow_by(number):
        last = {name: max([line['frame_id'] for line in lines(name)], default=0) for name in NAMES}
        eventually(lambda: all(lines(name) and lines(name)[-1]['frame_id'] > last[name] + number for name in NAMES),
                   LIMIT_S)

    def lose_the_machine():
        grow_by(20)
        cluster.remove_node(node, allow_graceful=False)
        grow_by(20)
        grow_by(20)

    try:
        run_until(lose_the_machine, job, [listed], cluster.address, (1, 1), 4)
        before = {name: Path(job.out, f'{name}.jsonl').read_text() for name in NAMES}
        run_until(lambda: grow_by(20), job, [listed], cluster.address, (1, 1), 2)
    finally:
        cluster.shutdown()
    moved = []
    for name in NAMES:
        assert Path(job.out, f'{name}.jsonl').read_text().startswith(before[name])
        found = lines(name)
        ids = [line['frame_id'] for line in found]
        assert ids == sorted(set(ids))
        assert {line['stream'] for line in found} == {name}
        assert [(line['frame_id'], line['reset']) for line in found if line['reset']] == [(ids[0], 'new'), *(
            (b, 'gap') for a, b in pairwise(ids) if b - a > MAX_GAP)]
        moved += [name] if '"gap"' in before[name] else []
        print(f'{name}: {len(ids)} lines, last frame {ids[-1]}, largest jump {max(b - a for a, b in pairwise(ids))}')
    assert moved
    print(f'on the machine that died: {", ".join(moved)}')
