"""The program of docs/results/degradations.md tests what it says."""

import sys
from pathlib import Path

import pytest
from mmdet.registry import TRANSFORMS
from mmengine.registry import init_default_scope

sys.path.insert(0, str(Path(__file__).parents[2] / 'docs' / 'programs'))
from degradation_map import ALL_SEEDS, CONFIGS, LEVELS, config_of, jobs


@pytest.mark.parametrize('name', LEVELS)
def test_a_level_degrades_the_frames_that_are_scored_as_degraded(name):
    kind, length, gap = LEVELS[name]
    for arm in CONFIGS:
        config = config_of(name, arm, 'some.json', 'work')
        transforms = [transform['type'] for transform in config.test_dataloader.dataset.pipeline[0].transforms]
        assert transforms.index('Bursts') - transforms.index('LoadFrame') == (-1 if 'Frozen' in name else 2)
        bursts = config.test_dataloader.dataset.pipeline[0].transforms[transforms.index('Bursts')]
        assert (bursts.transforms, bursts.length, bursts.gap) == ([kind], length, gap)
        init_default_scope('mmdet')
        shown, scored = (TRANSFORMS.build(bursts) for bursts in (bursts, config.test_evaluator.bursts))
        for video in range(3):
            assert [shown.place(video, k) for k in range(40)] == [scored.place(video, k) for k in range(40)]
        assert config.test_dataloader.dataset.ann_file == config.test_evaluator.ann_file == 'some.json'


def test_there_are_three_levels_of_each_kind_and_length_and_one_of_each_kind_without_gaps():
    assert len(LEVELS) == 15 + 3 + 2 + 5
    throughout = [kind['type'] for kind, _, gap in LEVELS.values() if gap == 0]
    assert len(throughout) == len(set(throughout)) == 5
    assert set(ALL_SEEDS) <= set(LEVELS)


def test_every_level_has_every_arm_and_the_first_seed(tmp_path):
    for arm in CONFIGS:
        for seed in range(3):
            (tmp_path / arm / str(seed)).mkdir(parents=True)
    found = [(name, arm, folder.name) for name, arm, folder, _ in jobs(tmp_path, tmp_path)]
    assert sorted(found) == sorted((name, arm, str(seed)) for name in LEVELS for arm in CONFIGS
                                   for seed in range(3 if name in ALL_SEEDS else 1))
