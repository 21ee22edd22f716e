"""The programs of docs/fleet_estimate.md: the simulation against what can be computed, and the tables of the page."""

import sys
from math import sqrt
from pathlib import Path

import pytest

pytest.importorskip('simpy', reason="needs pip install 'tsm_det[docs]'")
sys.path.insert(0, str(Path(__file__).parents[2] / 'docs' / 'programs'))
import fleet_estimate
from fleet_estimate import DAY, Fleet, best_save_every, expected_loss
from fleet_simulation import draw, simulate

from tsm_det.png import rendered

NEVER = 1e30  # seconds until a failure
FLEET = Fleet(frame=0.5, save=0.25, life=2000.0, restart=100.0, nodes=20, actors=3, recording=1200)


@pytest.mark.parametrize('save_every', [1, 7, 50, 5000])
@pytest.mark.parametrize('changes', [
    {}, {'life': 20.0}, {'life': NEVER}, {'save': 0.0}, {'restart': 0.0}, {'recording': 1}], ids=str)
def test_every_second_of_every_actor_went_into_something(save_every, changes):
    fleet = FLEET._replace(**changes)
    spent = simulate(fleet, save_every, 5000)
    assert min(spent) >= -1e-6
    assert spent.useful + spent.saving + spent.repeated + spent.away == pytest.approx(
        fleet.nodes * fleet.actors * 5000)


@pytest.mark.parametrize('save_every', [1, 8, 100, 1200])
def test_without_failures_only_saving_is_lost(save_every):
    fleet = FLEET._replace(life=NEVER)
    whole = fleet.recording * fleet.frame + fleet.recording // save_every * fleet.save
    spent = simulate(fleet, save_every, 7 * whole)
    assert (spent.failures, spent.away, spent.repeated) == (0, 0, pytest.approx(0, abs=1e-6))
    assert spent.lost == pytest.approx(fleet.save / (save_every * fleet.frame + fleet.save))


def test_saving_each_frame_repeats_less_than_a_frame_per_failure():
    fleet = FLEET._replace(save=0.0)
    spent = simulate(fleet, 1, 50_000)
    assert spent.failures > 100
    assert 0 < spent.repeated < spent.failures * fleet.actors * fleet.frame


@pytest.mark.parametrize('save_every', [10, 60, 300])
def test_a_failure_repeats_half_an_interval_and_takes_the_restart(save_every):
    """Means over failures, within five standard errors of those of uniform and exponential times."""
    fleet = Fleet(frame=0.5, save=0.25, life=20_000.0, restart=100.0, nodes=100, actors=1, recording=36_000)
    seconds, interval = 1e6, save_every * fleet.frame + fleet.save
    spent = simulate(fleet, save_every, seconds)
    expected = fleet.nodes * seconds / (fleet.life + fleet.restart)
    assert spent.failures == pytest.approx(expected, abs=5 * sqrt(expected))
    assert spent.repeated / spent.failures == pytest.approx(
        interval / 2, abs=5 * interval / sqrt(12 * spent.failures))
    assert spent.failures * fleet.restart - spent.away == pytest.approx(0, abs=fleet.nodes * fleet.restart)
    assert spent.lost == pytest.approx(expected_loss(fleet, save_every), rel=0.1)


@pytest.mark.parametrize('life', [DAY, 30 * DAY])
@pytest.mark.parametrize(('frame', 'save'), [(0.026, 0.0015), (1.2, 0.043)])
def test_the_best_interval_loses_least(frame, save, life):
    fleet = Fleet(frame, save, life)
    best = best_save_every(fleet)
    assert expected_loss(fleet, best) < min(expected_loss(fleet, best * factor) for factor in (0.5, 0.9, 1.1, 2))


def test_the_plot_has_a_dot_and_a_line_per_life():
    lives = {'day': FLEET._replace(life=DAY), 'week': FLEET._replace(life=7 * DAY)}
    figure = draw({'one': lives, 'another': lives}, DAY)
    assert [len(axes.lines) for axes in figure.axes] == [5, 5]
    assert rendered(figure).std() > 10


def test_the_page_has_the_tables_of_the_program():
    page = (fleet_estimate.DOCS / 'fleet_estimate.md').read_text()
    for rows in (fleet_estimate.per_core(), fleet_estimate.decoding(), fleet_estimate.cameras(),
                 fleet_estimate.recordings(), fleet_estimate.best()):
        assert fleet_estimate.table(rows) in page


def test_the_machines_keep_up_with_the_cameras():
    frames = fleet_estimate.CAMERAS * fleet_estimate.FPS
    for one, row in zip(fleet_estimate.detectors(), fleet_estimate.cameras()[1:], strict=True):
        cores = int(row[1].replace(',', ''))
        assert (cores - 1) / one.ms * 1e3 < frames <= cores / one.ms * 1e3
        assert (row[2] - 1) * fleet_estimate.CORES < cores <= row[2] * fleet_estimate.CORES
