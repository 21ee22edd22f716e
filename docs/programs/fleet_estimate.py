"""Compute the tables of docs/fleet_estimate.md from measured numbers, and print them.

    python docs/programs/fleet_estimate.py
"""

import json
from math import ceil, sqrt
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[1]
CAMERAS, HOURS, FPS = 1000, 1_000_000, 10
CORES, MACHINES = 64, 100  # per machine, and machines for the recordings
SAVE_EVERY = 100  # frames
DAY = 86_400.0  # seconds
RECORDING_H = 1  # hours per recording
SPEEDS = ('r18_fast', 'r18_fast-bf16', 'thermal_fast-bf16', 'thermal_openvino-int8', 'rtmdet_s_fast-bf16',
          'r50_fast-bf16')


class Detector(NamedTuple):
    """A detector as it was timed: CPU ms per frame over all threads, bytes of a stream's state and of a process."""

    config: str
    engine: str
    px: str
    ms: float
    state: int
    memory: int

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f'`{self.config}`, {self.engine}, {self.px}'


def detectors() -> list[Detector]:
    """The detectors with the shift of docs/results/speed."""
    found = []
    for name in SPEEDS:
        report = json.loads((DOCS / 'results' / 'speed' / f'{name}.json').read_text())
        arm, (height, width) = report['arms'][0], report['size']
        found.append(Detector(Path(report['settings']['config']).stem, arm['engine'], f'{width}x{height}',
                              arm['processor_ms'], arm['state_bytes'], arm['memory']['peak_bytes']))
    return found


def measured() -> dict:
    """What docs/programs/fleet_measure.py wrote."""
    return json.loads((DOCS / 'results' / 'fleet' / 'measured.json').read_text())


def per_core() -> list[tuple]:
    """What one core, one GPU and one stream take."""
    return [('detector', 'CPU ms per frame', 'frames per second per core', 'per GPU', 'state per stream, MB',
             'memory of a process, MB'),
            *((one.name, f'{one.ms:.1f}', f'{1e3 / one.ms:.2f}', 'not measured', f'{one.state / 1e6:.2f}',
               f'{one.memory / 1e6:.0f}') for one in detectors())]


def decoding() -> list[tuple]:
    """What reading frames takes."""
    return [('video', 'CPU ms per frame', 'frames per second per core', 'kB per frame', f'Mbit/s at {FPS} frames/s',
             f'cores for {CAMERAS:,} cameras', f'Gbit/s of {CAMERAS:,} cameras'),
            *((f'H.264 {row["px"]}', row['ms_per_frame'], f'{1e3 / row["ms_per_frame"]:.0f}',
               f'{row["bytes_per_frame"] / 1e3:.1f}', f'{row["bytes_per_frame"] * 8 * FPS / 1e6:.1f}',
               ceil(CAMERAS * FPS * row['ms_per_frame'] / 1e3),
               f'{row["bytes_per_frame"] * 8 * FPS * CAMERAS / 1e9:.1f}')
              for row in measured()['decode'])]


def cameras() -> list[tuple]:
    """CAMERAS cameras of FPS frames per second; saving: every SAVE_EVERY frames of a camera."""
    rate = CAMERAS * FPS  # frames per second
    rows = [('detector', 'cores to detect', f'machines of {CORES} cores', 'memory, GB', 'states, GB',
             f'state files, MB/s at --save-every {SAVE_EVERY}')]
    for one in detectors():
        cores = ceil(rate * one.ms / 1e3)
        rows.append((one.name, f'{cores:,}', ceil(cores / CORES), f'{cores * one.memory / 1e9:,.0f}',
                     f'{CAMERAS * one.state / 1e9:.2f}', f'{rate / SAVE_EVERY * one.state / 1e6:,.0f}'))
    return rows


def recordings() -> list[tuple]:
    """HOURS hours of FPS frames per second in recordings of RECORDING_H hours, on MACHINES machines; 720p."""
    video, lines = measured()['decode'][0], measured()['lines']
    frames = HOURS * 3600 * FPS
    rows = [('detector', 'core-hours to detect', 'to decode', f'days on {MACHINES} machines of {CORES} cores',
             'recordings per second', 'video read, MB/s', 'JSON lines, MB/s', 'state files, MB/s')]
    for one in detectors():
        detect, decode = frames * one.ms / 3.6e6, frames * video['ms_per_frame'] / 3.6e6
        seconds = 3600 * (detect + decode) / MACHINES / CORES
        rate = frames / seconds
        rows.append((one.name, f'{detect:,.0f}', f'{decode:,.0f}', f'{seconds / 86400:.1f}',
                     f'{HOURS / RECORDING_H / seconds:.2f}', f'{rate * video["bytes_per_frame"] / 1e6:,.0f}',
                     f'{rate * lines["bytes_per_frame"] / 1e6:,.1f}', f'{rate / SAVE_EVERY * one.state / 1e6:,.0f}'))
    return rows


class Fleet(NamedTuple):
    """Machines and their work; times in seconds."""

    frame: float  # to detect in a frame
    save: float  # to write a state file
    life: float  # mean time from a machine's start to its failure, exponential
    restart: float = 300.0  # until a machine that failed works again
    nodes: int = 100
    actors: int = 2  # per machine
    recording: int = 360_000  # frames


def expected_loss(fleet: Fleet, save_every: float) -> float:
    """Share of working time that saving takes, and half an interval per failure; where failures are rare."""
    interval = save_every * fleet.frame + fleet.save
    return fleet.save / interval + interval / 2 / fleet.life


def best_save_every(fleet: Fleet) -> float:
    """The interval with the smallest loss (Young, CACM 17 (9), 1974), in frames."""
    return sqrt(2 * fleet.save * fleet.life) / fleet.frame


def fleets() -> dict[str, dict[str, Fleet]]:
    """By detector and by how often a machine fails: detectors whose saving was measured."""
    saved = {(row['config'], row['engine']): row['save_ms'] / 1e3 for row in measured()['save']}
    return {f'{one.config}, {one.engine}': {name: Fleet(one.ms / 1e3, saved[one[:2]], days * DAY)
                                            for name, days in (('day', 1), ('week', 7), ('30 days', 30))}
            for one in detectors() if one.engine == 'fast-bf16' and one[:2] in saved}


def best() -> list[tuple]:
    """The best intervals, and what others lose."""
    return [('detector', 'a machine fails once per', 'best, frames', 'lost at best', 'at 100', 'at 1000'),
            *((f'`{detector}`', life, f'{best_save_every(fleet):,.0f}',
               *(f'{expected_loss(fleet, every):.3%}' for every in (best_save_every(fleet), 100, 1000)))
              for detector, by_life in fleets().items() for life, fleet in by_life.items())]


def table(rows: list[tuple]) -> str:
    """Rows as Markdown, the first one as the header."""
    head, *body = ['| ' + ' | '.join(map(str, row)) + ' |' for row in rows]
    return '\n'.join([head, '|---' * len(rows[0]) + '|', *body])


if __name__ == '__main__':
    print('\n\n'.join(map(table, (per_core(), decoding(), cameras(), recordings(), best()))))
