"""Simulate a fleet whose machines die, and plot the work that is lost against --save-every; see docs/fleet_estimate.md.

    PYTHONPATH=. python docs/programs/fleet_simulation.py docs/images/fleet_save_every.png
"""

import sys
from collections.abc import Generator
from random import Random
from typing import NamedTuple

import simpy
from fleet_estimate import DAY, Fleet, expected_loss, fleets
from matplotlib.figure import Figure

from tsm_det.png import COLOURS, rendered, write_png

SAVE_EVERY = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)


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
    env, random, spent = simpy.Environment(), Random(seed), dict.fromkeys(Outcome._fields, 0)
    interrupted: list[float] = []  # frames that are left

    def node(random: Random) -> Generator:
        while env.now < seconds:
            life, left = random.expovariate(1 / fleet.life), seconds - env.now
            actors = [env.process(actor()) for _ in range(fleet.actors)]
            yield env.timeout(min(life, left))
            for one in actors:
                one.interrupt(life < left)
            if life >= left:
                return
            away = min(fleet.restart, left - life)
            spent['failures'] += 1
            spent['away'] += away * fleet.actors
            yield env.timeout(away)

    def actor() -> Generator:
        has_work = True
        while has_work:
            left = interrupted.pop() if interrupted else fleet.recording
            begin, saves, done = env.now, left // save_every, left
            try:
                yield env.timeout(left * fleet.frame + saves * fleet.save)
            except simpy.Interrupt as end:  # its cause: whether the machine failed, or the time is over
                has_work, saves = False, min((env.now - begin) // (save_every * fleet.frame + fleet.save), saves)
                done = saves * save_every if end.cause else (env.now - begin - saves * fleet.save) / fleet.frame
                interrupted.append(left - done)
            spent['useful'] += done * fleet.frame
            spent['saving'] += saves * fleet.save
            spent['repeated'] += env.now - begin - done * fleet.frame - saves * fleet.save

    for _ in range(fleet.nodes):
        env.process(node(Random(random.random())))
    env.run()
    return Outcome(**spent)


def draw(fleets: dict[str, dict[str, Fleet]], seconds: float) -> Figure:
    """A panel per detector: dots are simulated, lines computed."""
    figure = Figure(figsize=(11, 4.6), dpi=110, layout='constrained')
    for axes, (detector, by_life) in zip(figure.subplots(1, len(fleets), sharey=True), fleets.items(), strict=True):
        for colour, (life, fleet) in zip(COLOURS, by_life.items(), strict=False):
            simulated = [100 * simulate(fleet, every, seconds).lost for every in SAVE_EVERY]
            axes.plot(SAVE_EVERY, simulated, 'o', color=colour)
            axes.plot(SAVE_EVERY, [100 * expected_loss(fleet, every) for every in SAVE_EVERY], color=colour, label=life)
        axes.axvline(100, color='black', linestyle=':', label='default of --save-every')
        axes.set(xscale='log', yscale='log', xlabel='--save-every (frames)', ylim=(1e-3, 100), title=(
            f'{detector}\n{1e3 * fleet.frame:.0f} ms per frame, {1e3 * fleet.save:.1f} ms per state file'))
        axes.xaxis.set_major_formatter('{x:g}')
        axes.yaxis.set_major_formatter('{x:g}')
        axes.grid(alpha=0.3)
        axes.legend(title='a machine fails once per', fontsize=9, loc='upper center')
    figure.axes[0].set_ylabel('lost by saving and by detecting\nagain (% of working time)')
    return figure


if __name__ == '__main__':
    write_png(rendered(draw(fleets(), 100 * DAY)), sys.argv[1])
