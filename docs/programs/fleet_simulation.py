"""Simulate a fleet whose machines die, and plot the work that is lost against --save-every; see docs/fleet_estimate.md.

    PYTHONPATH=. python docs/programs/fleet_simulation.py docs/images/fleet_save_every.png
"""

import sys
from collections.abc import Generator
from math import sqrt
from random import Random
from typing import NamedTuple

import simpy
from fleet_estimate import detectors, measured
from matplotlib.figure import Figure

from tsm_det.png import COLOURS, rendered, write_png

SAVE_EVERY = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
DAY = 86_400.0


class Fleet(NamedTuple):
    """Machines and their work; times in seconds."""

    frame: float  # to detect in a frame
    save: float  # to write a state file
    life: float  # mean time from a machine's start to its failure, exponential
    restart: float = 300.0  # until a machine that failed works again
    nodes: int = 100
    actors: int = 2  # per machine
    recording: int = 36_000  # frames


class Outcome(NamedTuple):
    """Seconds of all actors by what they went into, and failures of machines."""

    useful: float
    saving: float
    repeated: float
    away: float
    failures: int

    @property
    def lost(self) -> float:
        """Share of the time of working machines that saving and repeating take."""
        return (self.saving + self.repeated) / (self.useful + self.saving + self.repeated)


def simulate(fleet: Fleet, save_every: int, seconds: float, seed: int = 0) -> Outcome:
    """Run a fleet for some time: recordings without end, an interrupted one continued by the next free actor."""
    env, spent, random, interrupted = simpy.Environment(), dict.fromkeys(Outcome._fields, 0), Random(seed), []
    for _ in range(fleet.nodes):
        env.process(_node(env, fleet, save_every, interrupted, spent, Random(random.random()), seconds))
    env.run()
    return Outcome(**spent)


def _node(env: simpy.Environment, fleet: Fleet, save_every: int, interrupted: list[float], spent: dict,
          random: Random, end: float) -> Generator:
    while env.now < end:
        life, left = random.expovariate(1 / fleet.life), end - env.now
        actors = [env.process(_actor(env, fleet, save_every, interrupted, spent)) for _ in range(fleet.actors)]
        yield env.timeout(min(life, left))
        for actor in actors:
            actor.interrupt(life < left)
        if life >= left:
            return
        away = min(fleet.restart, left - life)
        spent['failures'] += 1
        spent['away'] += away * fleet.actors
        yield env.timeout(away)


def _actor(env: simpy.Environment, fleet: Fleet, save_every: int, interrupted: list[float], spent: dict) -> Generator:
    """Detect in recordings, interrupted ones first, until the machine fails or the simulation ends."""
    has_work = True
    while has_work:
        left = interrupted.pop() if interrupted else fleet.recording
        begin, saves, done = env.now, left // save_every, left
        try:
            yield env.timeout(left * fleet.frame + saves * fleet.save)
        except simpy.Interrupt as end:
            has_work, saves = False, min((env.now - begin) // (save_every * fleet.frame + fleet.save), saves)
            done = saves * save_every if end.cause else (env.now - begin - saves * fleet.save) / fleet.frame
            interrupted.append(left - done)
        spent['useful'] += done * fleet.frame
        spent['saving'] += saves * fleet.save
        spent['repeated'] += env.now - begin - done * fleet.frame - saves * fleet.save


def expected_loss(fleet: Fleet, save_every: float) -> float:
    """The lost share of :class:`Outcome` where failures are rare: saving, and half an interval per failure."""
    work = save_every * fleet.frame
    return fleet.save / (work + fleet.save) + (work + fleet.save) / 2 / fleet.life


def best_save_every(fleet: Fleet) -> float:
    """The interval with the smallest loss (Young, CACM 17 (9), 1974), in frames."""
    return sqrt(2 * fleet.save * fleet.life) / fleet.frame


def draw(models: dict[str, tuple[float, float]], lives: dict[str, float], seconds: float) -> Figure:
    """A panel per model, which is its seconds per frame and per save: dots are simulated, lines computed."""
    figure = Figure(figsize=(11, 4.6), dpi=110, layout='constrained')
    for axes, (model, (frame, save)) in zip(figure.subplots(1, len(models), sharey=True), models.items(), strict=True):
        for colour, (name, life) in zip(COLOURS, lives.items(), strict=False):
            fleet = Fleet(frame, save, life)
            axes.plot(SAVE_EVERY, [100 * simulate(fleet, every, seconds).lost for every in SAVE_EVERY], 'o',
                      color=colour)
            axes.plot(SAVE_EVERY, [100 * expected_loss(fleet, every) for every in SAVE_EVERY], color=colour,
                      label=f'{name} (best: {best_save_every(fleet):,.0f})')
        axes.axvline(100, color='black', linestyle=':', label='default: 100')
        axes.set(xscale='log', yscale='log', xlabel='--save-every (frames)', ylim=(1e-3, 100), title=model)
        axes.grid(alpha=0.3)
        axes.legend(title='a machine fails once per', fontsize=9)
    figure.axes[0].set_ylabel('time lost by saving and by\ndetecting again (% of working time)')
    return figure


def main(path: str) -> None:
    """Draw the detectors of the page with the times that were measured."""
    models = {f'{one.config}, {one.engine}\n{one.ms:.0f} ms per frame, {row["save_ms"]:.1f} ms per save':
              (one.ms / 1e3, row['save_ms'] / 1e3) for one in detectors() for row in measured()['save']
              if (one.config, one.engine) == (row['config'], row['engine']) and one.engine == 'fast-bf16'}
    figure = draw(models, {'day': DAY, 'week': 7 * DAY, '30 days': 30 * DAY}, 10 * DAY)
    write_png(rendered(figure), path)


if __name__ == '__main__':
    main(sys.argv[1])
