"""Runs side by side, over train.py and test.py that do nothing but leave what the real ones leave."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from mmengine import dump

from tsm_det import config_path
from tsm_det.comparison import children, comparison
from tsm_det.comparison.arms import differing_keys, read_arms
from tsm_det.comparison.children import locked
from tsm_det.comparison.comparison import Plan, compare
from tsm_det.comparison.jobs import run_all
from tsm_det.comparison.run import Run
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError

TRAIN = '''
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index('--work-dir') + 1])
options = dict(word.split('=', 1) for word in sys.argv if '=' in word)
(folder / 'calls').open('a').write(f'train {os.environ["OMP_NUM_THREADS"]}\\n')
print('Iter(train) [ 2/3]  eta: 0:00:01', flush=True)
if Path(options.get('fails_while', 'nothing')).exists():
    sys.exit('error: this one fails')
if 'hangs' in options:
    (folder / 'pid').write_text(str(os.getpid()))
    time.sleep(1000)
(folder / 'last_checkpoint').write_text(str(folder.resolve() / 'iter_3.pth'))
'''
TEST = '''
import shutil, sys
from pathlib import Path
folder = Path(sys.argv[2]).parent
options = dict(word.split('=', 1) for word in sys.argv if '=' in word)
(folder / 'calls').open('a').write('test\\n')
(folder / 'metrics.json').write_text('{"coco/AP50": 0.5}')
shutil.copy(options['found'], folder / 'found.pkl')
'''


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthvid'
    make_synthetic_vid(root, train_videos=1, val_videos=3, frames_per_video=6)
    return root


@pytest.fixture(scope='module')
def folder(tmp_path_factory, data_root):
    """What is found: ``good.pkl`` has all boxes, ``poor.pkl`` those of every other frame; and the tools."""
    folder = tmp_path_factory.mktemp('made')
    truth = json.loads((data_root / 'val.json').read_text())
    for name, every in (('good', 1), ('poor', 2)):
        frames = []
        for image in truth['images']:
            boxes = [box for box in truth['annotations']
                     if box['image_id'] == image['id'] and image['frame_id'] % every == 0]
            corners = [[x, y, x + w, y + h] for x, y, w, h in (box['bbox'] for box in boxes)]
            frames.append(dict(img_id=image['id'], pred_instances=dict(
                bboxes=torch.tensor(corners, dtype=torch.float).reshape(-1, 4), scores=torch.full((len(boxes),), 0.9),
                labels=torch.tensor([box['category_id'] - 1 for box in boxes]).long())))
        dump(frames, str(folder / f'{name}.pkl'))
    (folder / 'tools').mkdir()
    (folder / 'tools' / 'train.py').write_text(TRAIN)
    (folder / 'tools' / 'test.py').write_text(TEST)
    return folder


def plan_of(folder, data_root, out, arms, **keys):
    """Arms as ``(name, option, ...)``."""
    synth = config_path('tsm_faster_rcnn_r18_synthvid')
    words = [[name, synth, f'found={folder}/{name}.pkl', *options] for name, *options in arms]
    return Plan(**{**dict(
        arms=read_arms(words, [f'data_root={data_root}']), baseline='poor', seeds=[0], out=out, tools=folder / 'tools',
        jobs=2, threads=3, draws=50, latency_frames=0, command='as typed'), **keys})


@pytest.fixture
def plan(folder, data_root, tmp_path):
    return lambda *arms, **keys: plan_of(folder, data_root, tmp_path / 'out', arms, **keys)


@pytest.fixture(scope='module')
def compared(folder, data_root, tmp_path_factory):
    """A plan of two arms and two seeds that was carried out, and what was printed."""
    plan = plan_of(folder, data_root, tmp_path_factory.mktemp('out'), seeds=[0, 1], engine='fast', arms=[
        ('good', 'model.backbone.shift_div=4'), ('poor', 'optim_wrapper.optimizer.lr=1')])
    return plan, compare(plan)


def calls(plan):
    return {str(path.relative_to(plan.out).parent): path.read_text().splitlines()
            for path in sorted(plan.out.glob('*/*/calls'))}


BOTH = ('good',), ('poor',)


def test_every_arm_is_trained_with_every_seed_then_tested(compared):
    plan, _ = compared
    assert calls(plan) == {f'{arm}/seed{seed}': ['train 3', 'test'] for arm in ('good', 'poor') for seed in (0, 1)}
    results = json.loads((plan.out / 'results.json').read_text())
    assert [(run['arm'], run['seed'], run['state']) for run in results['runs']] == [
        ('good', 0, 'finished'), ('poor', 0, 'finished'), ('good', 1, 'finished'), ('poor', 1, 'finished')]
    assert results['runs'][0]['metrics'] == {'coco/AP50': 0.5}
    every = results['parts'][0]
    assert every['arms']['good']['seeds'] == {'0': 1, '1': 1}
    assert every['differences'].keys() == {'good'}
    found = every['differences']['good']
    assert 0.3 < found['low'] <= found['mean'] == 1 - every['arms']['poor']['mean'] <= found['high'] < 0.9
    kinds = list(dict.fromkeys(part['kind'] for part in results['parts']))
    assert kinds == ['all', 'motion', 'class', 'subset', 'frame']


def test_the_table_says_what_was_found_and_how_to_repeat_it(compared):
    plan, printed = compared
    page = (plan.out / 'table.md').read_text()
    assert printed.splitlines()[2].startswith('| good | 1.000 ± 0.000 | 2 | +0.')
    assert printed.splitlines()[2] in page
    assert '| poor |' in page and '| baseline | 1 |' in page and 'as typed' in page
    assert 'Unfinished' not in page
    assert '`model.backbone.shift_div`, `optim_wrapper.optimizer.lr`' in page
    assert '**trained otherwise, not the network alone**' in page
    folder = plan.out / 'good' / 'seed1'
    assert (f'OMP_NUM_THREADS=3 python {plan.tools}/train.py {plan.arms[0].config} --work-dir {folder} --resume '
            f'--cfg-options {plan.arms[0].options[0]} ') in page
    assert f'{plan.tools}/test.py {plan.arms[0].config} {folder}/iter_3.pth ' in page
    assert page.count('randomness.seed=1\n') == 4
    assert page.count(' --engine fast ') == len(plan.arms) * len(plan.seeds)


def test_the_pictures_can_be_looked_at(compared):
    plan, printed = compared
    names = {'arm_and_seed', 'motion', 'class', 'subset', 'frame'}
    assert {path.name for path in plan.out.glob('*.png')} == {f'ap50_by_{name}.png' for name in names}
    for name in names:
        path = plan.out / f'ap50_by_{name}.png'
        assert str(path) in printed
        height, width, _ = cv2.imread(str(path)).shape
        assert 200 < height < 1500 and 800 < width < 2000


def test_what_is_finished_is_not_done_again(plan):
    compare(plan(*BOTH))
    compare(plan(*BOTH, seeds=[0, 1]))
    assert calls(plan()) == {f'{arm}/seed{seed}': ['train 3', 'test'] for arm in ('good', 'poor') for seed in (0, 1)}


def test_what_was_tested_with_another_engine_is_tested_again(plan):
    for engine in ('eager', 'fast', 'fast'):
        compare(plan(*BOTH, engine=engine))
    assert calls(plan()) == {f'{arm}/seed0': ['train 3', 'test', 'test'] for arm in ('good', 'poor')}
    page = (plan().out / 'table.md').read_text()
    assert (page.count('--engine fast'), page.count('--engine eager')) == (2, 0)
    assert 'starts' not in page


def test_a_run_that_fails_leaves_the_others_alone_and_is_tried_again(plan, tmp_path):
    broken = tmp_path / 'broken'
    broken.touch()
    plan = plan(('good',), ('poor', f'fails_while={broken}'))
    log = plan.out / 'poor' / 'seed0' / 'train.log'
    with pytest.raises(InputError, match=f'1 of 2 runs failed, the others went on: read {log}'):
        compare(plan)
    assert log.read_text().splitlines()[-1] == 'error: this one fails'
    page = (plan.out / 'table.md').read_text()
    assert '**Unfinished: 1 of 2 runs are missing.**' in page
    assert f'| poor | 0 | - | **failed** {log} |' in page
    assert '| poor | - | **unfinished**, 0 of 1 | baseline |' in page
    broken.unlink()
    compare(plan)
    assert calls(plan) == {'good/seed0': ['train 3', 'test'], 'poor/seed0': ['train 3', 'train 3', 'test']}
    page = (plan.out / 'table.md').read_text()
    assert 'Unfinished' not in page
    row, = [line for line in page.splitlines() if line.startswith('| poor | 0 |')]
    assert row.count(' starts)') == row.count(' (last of 2 starts) | ') == 1  # training, not the test


def test_what_is_left_to_do_is_printed_as_one_can_type_it(plan, monkeypatch):
    monkeypatch.setattr(comparison, 'run_all', lambda *_: None)
    plan = plan(('good',), ('poor', 'model.backbone.shift_stages=(2, 3)'))
    compare(plan)
    lines = (plan.out / 'table.md').read_text().splitlines()
    left = [shlex.split(line, comments=True) for line in lines if line.endswith('  # not done yet')]
    assert [words[:3] for words in left] == [['python', f'{plan.tools}/train.py', arm.config] for arm in plan.arms]
    assert 'model.backbone.shift_stages=(2, 3)' in left[1]


def test_a_folder_of_another_config_is_refused(plan):
    compare(plan(*BOTH, draws=1))
    with pytest.raises(InputError, match=r'good/seed0 was made with another config \(other: model.backbone.shift'):
        compare(plan(('good', 'model.backbone.shift_div=4'), ('poor',)))


def alive(pid):
    try:
        os.kill(pid, 0)
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_for(condition):
    """Wait until something holds; a minute and a half is far more than it takes, and then the test fails."""
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_interruption_ends_the_children_and_a_second_start_goes_on(plan):
    plan = plan(('good', 'hangs=yes'), ('poor',))
    runs = [Run(arm, 0, plan.out, plan.tools) for arm in plan.arms]
    pid = plan.out / 'good' / 'seed0' / 'pid'

    def interrupted():
        wait_for(lambda: pid.is_file() and pid.read_text())
        raise KeyboardInterrupt

    with locked(plan.out) as lock, pytest.raises(KeyboardInterrupt):
        run_all(runs, 2, 3, lock, interrupted)
    assert not alive(int(pid.read_text()))
    assert [Run(arm, 0, plan.out, plan.tools).state for arm in plan.arms] == ['unfinished', 'finished']
    assert runs[0].next_step().progress() == '2/3'


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='elsewhere the folder stays locked until they end')
def test_the_children_of_a_killed_comparison_end(plan):
    plan = plan(('poor', 'hangs=yes'))
    pid = plan.out / 'poor' / 'seed0' / 'pid'
    program = ('import sys, pathlib; from tsm_det.comparison.comparison import Plan, compare; '
               'from tsm_det.comparison.arms import read_arms; word = sys.argv; '
               'compare(Plan(read_arms([["poor", *word[3:]]]), "poor", [0], *map(pathlib.Path, word[1:3])))')
    parent = subprocess.Popen([sys.executable, '-c', program, plan.out, plan.tools, plan.arms[0].config,
                               *plan.arms[0].options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: pid.is_file() and pid.read_text())
    child = int(pid.read_text())
    assert alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not alive(child))
    with locked(plan.out):
        pass


def test_two_comparisons_do_not_work_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(children, '_PATIENCE_S', 0)
    with locked(tmp_path), pytest.raises(InputError, match='another comparison is at work'), locked(tmp_path):
        pass


@pytest.mark.parametrize(('keys', 'message'), [
    (dict(baseline='mine'), 'the baseline mine is no arm: name one of good, poor'),
    (dict(jobs=0), '--jobs is 0 but a number from 1 is needed'),
    (dict(draws=0), '--draws is 0'),
    (dict(latency_frames=-1), '--latency-frames is -1 but a number from 0 is needed'),
    (dict(seeds=[-1, 0]), '--seeds has -1 but numbers from 0 are needed'),
    (dict(engine='warp'), "the engine is warp but one of eager, fast"),
])
def test_a_wrong_plan_is_refused_before_anything_runs(plan, keys, message):
    plan = plan(*BOTH, **keys)
    with pytest.raises(InputError, match=message):
        compare(plan)
    assert not plan.out.exists()


def test_arms_that_are_tested_otherwise_are_refused(plan):
    with pytest.raises(InputError, match=r'poor and good are not tested alike \(test_evaluator.count_key_frame diff'):
        compare(plan(('good',), ('poor', 'test_evaluator.count_key_frame=True')))


@pytest.mark.parametrize(('words', 'message'), [
    ([['a']], '--arm a has no config'),
    ([['a', 'x=1']], '--arm a has no config'),
    ([['../a', 'c.py']], "'../a' cannot name an arm"),
    ([['a', 'c.py'], ['a', 'd.py']], "'a' cannot name an arm"),
])
def test_arms_that_cannot_be_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        read_arms(words)


@pytest.mark.parametrize('option', ['x', '=1', '--x=1', 'x=(1,2', 'x =1'])
def test_options_that_cannot_be_read_are_refused(option):
    with pytest.raises(InputError, match='is no option|cannot be read'):
        read_arms([['a', config_path('faster_rcnn_r18_synthvid'), option]])[0].load(0)


def test_keys_that_differ_are_found_wherever_they_are():
    one = dict(a=1, b=dict(c=(1, 2), d=[dict(e=1)]), only=dict(x=1))
    other = dict(a=1, b=dict(c=[1, 2], d=[dict(e=2)]), also=None)
    assert differing_keys(one, other) == ['b.d', 'only']
