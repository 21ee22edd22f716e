"""Comparisons over train.py, test.py and benchmark.py that only leave the files of the real ones."""

import json
import os
import pickle
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine import dump

from tests.open_files import needs_proc
from tests.waiting import eventually
from tsm_det import config_path
from tsm_det.comparison import comparison
from tsm_det.comparison.comparison import compare, run_all
from tsm_det.comparison.runs import differing_keys, read_arms, runs_of_arms, runs_of_results, runs_of_work_dirs
from tsm_det.config import load_config
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError

SYNTH = config_path('tsm_faster_rcnn_r18_synthvid')
TRAIN = '''
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index('--work-dir') + 1])
options = dict(word.split('=', 1) for word in sys.argv if '=' in word)
(folder / 'calls').open('a').write(f'train {os.environ["OMP_NUM_THREADS"]}\\n')
(folder / 'last_checkpoint').write_text('/another/machine/iter_3.pth')
if Path(options.get('fails_while', 'nothing')).exists():
    sys.exit('error: this one fails')
if 'hangs' in options:
    (folder / 'pid').write_text(str(os.getpid()))
    time.sleep(1000)
(folder / 'iter_3.pth').touch()
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
BENCHMARK = '''
import json, shlex, sys
from pathlib import Path
path = Path(sys.argv[sys.argv.index('--json') + 1])
path.with_name('calls').open('a').write('latency\\n')
path.write_text(json.dumps(dict(command=shlex.join(['python', *sys.argv]), ratio=dict(median=1.01, low=1, high=1.02))))
'''


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthvid'
    make_synthetic_vid(root, train_videos=1, val_videos=3, frames_per_video=6)
    return root


@pytest.fixture(scope='module')
def folder(tmp_path_factory, data_root):
    """Detections: ``good.pkl`` has all boxes, ``poor.pkl`` those of every other frame; and the tools."""
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
    for name, program in (('train', TRAIN), ('test', TEST), ('benchmark', BENCHMARK)):
        (folder / 'tools' / f'{name}.py').write_text(program)
    return folder


def judge(runs, out, **keys):
    return compare(runs, out=out, **{**dict(baseline='poor', jobs=2, threads=3, draws=50, latency_frames=0,
                                            command='as typed'), **keys})


def runs_of(folder, data_root, out, *arms, seeds=(0,), engine='eager'):
    """Runs of arms ``(name, option, ...)``."""
    words = [[name, SYNTH, f'found={folder}/{name}.pkl', *options] for name, *options in arms or [['good'], ['poor']]]
    return runs_of_arms(words, seeds, out, folder / 'tools', engine, [f'data_root={data_root}'])


@pytest.fixture
def runs(folder, data_root, tmp_path):
    return lambda *arms, **keys: runs_of(folder, data_root, tmp_path / 'out', *arms, **keys)


@pytest.fixture(scope='module')
def compared(folder, data_root, tmp_path_factory):
    """The folder of a comparison of two arms and two seeds, its runs, and its output."""
    out = tmp_path_factory.mktemp('out')
    runs = runs_of(folder, data_root, out, ('good', 'model.backbone.shift_div=4'),
                   ('poor', 'optim_wrapper.optimizer.lr=1'), seeds=[0, 1], engine='fast')
    return out, runs, judge(runs, out)


def calls(out):
    return {str(path.relative_to(out).parent): path.read_text().splitlines() for path in sorted(out.glob('*/*/calls'))}


def page(out):
    return (out / 'table.md').read_text()


def row(table, *cells):
    """The cells of the table's only row that begins with these."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in table.splitlines() if line[:1] == '|']
    found, = [cells_ for cells_ in rows if cells_[:len(cells)] == list(cells)]
    return found


def test_every_arm_is_trained_with_every_seed_then_tested(compared):
    out, _, _ = compared
    assert calls(out) == {f'{arm}/seed{seed}': ['train 3', 'test'] for arm in ('good', 'poor') for seed in (0, 1)}
    results = json.loads((out / 'results.json').read_text())
    assert [(run['arm'], run['seed'], run['state']) for run in results['runs']] == [
        ('good', 0, 'finished'), ('poor', 0, 'finished'), ('good', 1, 'finished'), ('poor', 1, 'finished')]
    assert results['runs'][0]['metrics'] == {'coco/AP50': 0.5}
    every = results['parts'][0]
    assert every['arms']['good']['seeds'] == {'0': 1, '1': 1}
    assert every['differences'].keys() == {'good'}
    found = every['differences']['good']
    assert 0.3 < found['low'] <= found['mean'] == 1 - every['arms']['poor']['mean'] <= found['high'] < 0.9
    kinds = list(dict.fromkeys(part['kind'] for part in results['parts']))
    assert kinds == ['all', 'motion', 'class', 'subset', 'frame', 'stability']
    steady = next(part for part in results['parts'] if part['name'] == 'fragment')
    assert steady['arms']['good']['mean'] == 0 < steady['arms']['poor']['mean']
    assert not any(key.startswith('stability') for key in results['runs'][0]['ap50'])


def test_the_table_has_the_numbers_and_the_commands(compared):
    out, runs, printed = compared
    assert row(printed, 'good')[1:3] == ['1.000 ± 0.000', '2'] and row(printed, 'poor')[3:] == ['baseline', '1']
    table = page(out)
    assert all(line in table for line in printed.splitlines()[:4]) and 'as typed' in table
    assert 'Unfinished' not in table
    assert '`model.backbone.shift_div`, `optim_wrapper.optimizer.lr` (**' in table
    run, = [run for run in runs if (run.arm.name, run.seed) == ('good', 1)]
    assert (f'OMP_NUM_THREADS=3 python {run.tools}/train.py {run.arm.config} --work-dir {run.folder} --resume '
            f'--cfg-options {run.arm.options[0]} ') in table
    assert f'{run.tools}/test.py {run.arm.config} {run.folder}/iter_3.pth ' in table
    assert table.count('randomness.seed=1\n') == 4
    assert table.count(' --engine fast ') == len(runs)


def test_the_plots_can_be_looked_at(compared):
    out, _, printed = compared
    names = {'arm_and_seed', 'motion', 'class', 'subset', 'frame'}
    assert {path.name for path in out.glob('*.png')} == {f'ap50_by_{name}.png' for name in names}
    for path in out.glob('*.png'):
        assert str(path) in printed
        height, width, _ = cv2.imread(str(path)).shape
        assert 200 < height < 1500 and 800 < width < 2000


def test_finished_steps_are_not_repeated_but_tests_with_another_engine_are(runs, tmp_path):
    out = tmp_path / 'out'
    for keys in (dict(), dict(), dict(seeds=[0, 1]), dict(engine='fast')):
        judge(runs(**keys), out)
    assert calls(out) == {f'{arm}/seed{seed}': ['train 3', 'test', 'test'][:3 - seed]
                                 for arm in ('good', 'poor') for seed in (0, 1)}
    table = page(out)
    assert (table.count('--engine fast'), table.count('--engine eager'), table.count('resumed')) == (2, 0, 0)


def test_a_run_that_fails_leaves_the_others_alone_and_is_tried_again(runs, tmp_path):
    broken = tmp_path / 'broken'
    broken.touch()
    arms, out = [('good',), ('poor', f'fails_while={broken}')], tmp_path / 'out'
    log = out / 'poor' / 'seed0' / 'train.log'
    with pytest.raises(InputError, match=f'1 of 2 .*{log}'):
        judge(runs(*arms), out)
    assert log.read_text().splitlines()[-1] == 'error: this one fails'
    assert '**Unfinished: 1 of 2 runs are missing.**' in page(out)
    assert row(page(out), 'poor', '0')[2:4] == ['-', f'**failed** {log}']
    assert row(page(out), 'poor', '-')[2:4] == ['**unfinished**, 0 of 1', 'baseline']
    broken.unlink()
    judge(runs(*arms), out)
    assert calls(out) == {'good/seed0': ['train 3', 'test'], 'poor/seed0': ['train 3', 'train 3', 'test']}
    assert 'Unfinished' not in page(out)
    assert [' (resumed)' in cell for cell in row(page(out), 'poor', '0')[4:]] == [True, False]


def test_commands_of_missing_steps_can_be_typed(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, 'run_all', lambda *_: None)
    runs = runs(('good',), ('poor', 'model.backbone.shift_stages=(2, 3)'))
    judge(runs, tmp_path)
    left = [shlex.split(line, comments=True) for line in page(tmp_path).splitlines()
            if line.endswith('  # not done yet')]
    assert [words[:3] for words in left] == [['python', f'{run.tools}/train.py', SYNTH] for run in runs]
    assert 'model.backbone.shift_stages=(2, 3)' in left[1]


def test_a_folder_with_a_run_of_another_config_is_refused(runs, tmp_path):
    judge(runs(), tmp_path)
    with pytest.raises(InputError, match='good/seed0 .*model.backbone.shift_div'):
        runs(('good', 'model.backbone.shift_div=4'), ('poor',))


def alive(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except (ProcessLookupError, FileNotFoundError):
        return False


@needs_proc
def test_an_interruption_ends_the_children_and_a_second_start_continues(runs):
    arms = ('good', 'hangs=yes'), ('poor',)
    pid = runs(*arms)[0].folder / 'pid'

    def interrupted():
        eventually(lambda: pid.is_file() and pid.read_text(), limit_s=90)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(runs(*arms), 2, 3, interrupted)
    assert not alive(int(pid.read_text()))
    assert [run.state for run in runs(*arms)] == ['unfinished', 'finished']


@pytest.mark.slow
@needs_proc
def test_sigterm_ends_the_children(runs, folder, tmp_path):
    run, = runs(('poor', 'hangs=yes'))
    for name in ('compare.py', 'command_line.py', 'tool_options.py'):
        shutil.copy(Path(__file__).parents[2] / 'tools' / name, folder / 'tools')
    parent = subprocess.Popen([sys.executable, folder / 'tools' / 'compare.py', '--arm', 'poor', SYNTH,
                               *run.arm.options, '--seeds', '0', '--baseline', 'poor', '--out', tmp_path / 'out'],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pid = run.folder / 'pid'
    eventually(lambda: pid.is_file() and pid.read_text(), limit_s=90)
    assert alive(int(pid.read_text()))
    parent.terminate()
    assert parent.wait() == 143
    assert not alive(int(pid.read_text()))


@pytest.mark.parametrize('trust', [False, True])
def test_trust_is_handed_to_every_step(folder, data_root, tmp_path, trust):
    words = [[name, SYNTH, f'found={folder}/{name}.pkl'] for name in ('good', 'poor')]
    runs = runs_of_arms(words, [0], tmp_path / 'out', folder / 'tools', 'eager', [f'data_root={data_root}'], trust)
    judge(runs, tmp_path / 'out', latency_frames=7)
    commands = [step['command'] for run in runs for step in run.steps.values()]
    commands.append(json.loads((tmp_path / 'out' / 'good' / 'latency.json').read_text())['command'])
    assert len(commands) == 5
    assert {'--trust-checkpoint' in command.split() for command in commands} == {trust}


def test_latency_is_measured_once_per_arm(runs, tmp_path):
    for _ in range(2):
        judge(runs(), tmp_path, latency_frames=7)
    assert row(page(tmp_path), 'good', '1.000')[4] == '1.010 [1.000, 1.020]'
    figures = tmp_path / 'good' / 'latency.json'
    assert figures.with_name('calls').read_text() == 'latency\n'
    command = json.loads(figures.read_text())['command']
    assert ' --frames 7 --proposals 100 ' in command and 'good/seed0/iter_3.pth --baseline ' in command


@pytest.fixture
def work_dirs(folder, data_root, tmp_path):
    """Work dirs of trainings of another machine, ``ARM/run0`` and ``ARM/run1``; the poor ones are tested."""
    for name in ('good', 'poor'):
        for seed in (0, 1):
            work_dir = tmp_path / name / f'run{seed}'
            work_dir.mkdir(parents=True)
            load_config(SYNTH, {'data_root': str(data_root), 'randomness.seed': seed}).dump(work_dir / 'config.py')
            (work_dir / 'last_checkpoint').write_text('/another/machine/iter_3.pth')
            (work_dir / 'iter_3.pth').touch()
            if name == 'poor':
                shutil.copy(folder / 'poor.pkl', work_dir / 'found.pkl')
    return sorted(tmp_path.glob('*/run*'))


def test_work_dirs_trained_elsewhere_are_tested_and_judged(compared, folder, work_dirs, tmp_path):
    for _ in range(2):
        runs = runs_of_work_dirs(work_dirs, folder / 'tools', 'eager', [f'found={folder}/good.pkl'])
        judge(runs, tmp_path / 'out')
    assert calls(tmp_path) == {'good/run0': ['test'], 'good/run1': ['test']}
    ours, theirs = (json.loads((out / 'results.json').read_text()) for out in (tmp_path / 'out', compared[0]))
    assert ours['parts'] == theirs['parts']
    assert [(run['arm'], run['seed'], list(run['steps'])) for run in ours['runs']] == [
        ('good', 0, ['test']), ('good', 1, ['test']), ('poor', 0, []), ('poor', 1, [])]


@pytest.mark.parametrize(('spoil', 'facts'), [
    (lambda good, other: (good / 'last_checkpoint').unlink(), 'good/run0/last_checkpoint'),
    (lambda good, other: (good / 'iter_3.pth').unlink(), 'good/run0/iter_3.pth'),
    (lambda good, other: (good / 'config.py').unlink(), r'good/run0 has 0 configs'),
    (lambda good, other: (good / 'other.py').touch(), r'good/run0 has 2 configs'),
    (lambda good, other: shutil.copy(good / 'config.py', other), 'good/run0 and .*good/run1 .*good.* seed 0'),
    (lambda good, other: (good / 'config.py').write_text('model = None'), 'good/run0/config.py .*randomness.seed'),
    (lambda good, other: (other / 'config.py').open('a').write('default_scope = None'), 'default_scope')])
def test_work_dirs_that_cannot_be_judged_are_errors(folder, work_dirs, spoil, facts):
    spoil(*work_dirs[:2])
    with pytest.raises(InputError, match=facts):
        runs_of_work_dirs(work_dirs, folder / 'tools', 'eager')


def test_two_result_files_of_the_same_weights_are_compared(compared, folder, data_root, tmp_path):
    good, poor = folder / 'good.pkl', folder / 'poor.pkl'
    runs = runs_of_results([['good', SYNTH, str(good), str(good)], [
        'poor', SYNTH, 'model.streams.max_gap=0', str(poor), str(poor)]], tmp_path, [f'data_root={data_root}'])
    judge(runs, tmp_path, latency_frames=9)
    ours, theirs = (json.loads((out / 'results.json').read_text()) for out in (tmp_path, compared[0]))
    assert ours['parts'] == theirs['parts']
    assert [arm['differs_in'] for arm in ours['arms']] == [['model.streams'], []]
    assert str(good) in page(tmp_path) and not calls(tmp_path)


@pytest.mark.parametrize(('words', 'facts'), [
    (['a', SYNTH], '--results a has no FILE.pkl'), (['a', SYNTH, 'none.pkl'], 'none.pkl'), (['a', __file__], 'a has')])
def test_results_that_are_missing_are_errors(tmp_path, words, facts):
    with pytest.raises(InputError, match=facts):
        runs_of_results([words], tmp_path)


@pytest.mark.parametrize(('keys', 'facts'), [
    (dict(baseline='mine'), 'baseline is mine .*good, poor'), (dict(jobs=0), '--jobs is 0 .*1'),
    (dict(draws=0), '--draws is 0'), (dict(latency_frames=-1), '--latency-frames is -1 .*0')])
def test_wrong_arguments_are_refused_before_anything_runs(runs, tmp_path, keys, facts):
    with pytest.raises(InputError, match=facts):
        judge(runs(), tmp_path / 'out', **keys)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('arms', 'keys', 'facts'), [
    ([], dict(seeds=[-1, 0]), '--seeds has -1 .*0'), ([], dict(engine='warp'), 'warp .*eager, fast'),
    ([('good',), ('poor', 'test_evaluator.count_key_frame=True')], {}, 'good and poor .*evaluator.count_key_frame'),
    ([('good',), ('poor', 'test_dataloader.dataset.metainfo.classes=(star,disc,square,triangle)')], {},
     'good .*disc, square.* poor star, disc')])
def test_runs_that_cannot_be_compared_are_refused(runs, tmp_path, arms, keys, facts):
    with pytest.raises(InputError, match=facts):
        judge(runs(*arms, **keys), tmp_path)


@pytest.mark.parametrize(('words', 'facts'), [
    ([['a']], 'arm a has no config'), ([['a', 'x=1']], 'arm a has no config'), ([['../a', 'c.py']], "'../a'"),
    ([['a', 'c.py'], ['a', 'd.py']], "'a'")])
def test_wrong_arms_are_refused(words, facts):
    with pytest.raises(InputError, match=facts):
        read_arms(words)


@pytest.mark.parametrize('option', ['x', '=1', '--x=1', 'x=(1,2', 'x =1'])
def test_options_that_cannot_be_read_are_refused(option):
    with pytest.raises(InputError, match=option.translate({40: r'\('})):
        read_arms([['a', SYNTH, option]])[0].load(0)


def test_differing_keys_are_found_at_any_depth():
    one = dict(a=1, b=dict(c=(1, 2), d=[dict(e=1)]), only=dict(x=1))
    other = dict(a=1, b=dict(c=[1, 2], d=[dict(e=2)]), also=None)
    assert differing_keys(one, other) == ['b.d', 'only']


def test_importing_the_loop_fills_the_cache_of_yapf(tmp_path):
    """Two trainings that both came first would read what the other is writing."""
    subprocess.run([sys.executable, '-c', 'import tsm_det.comparison.comparison'], check=True,
                   env={**os.environ, 'XDG_CACHE_HOME': str(tmp_path)})
    grammars = [pickle.loads(path.read_bytes()) for path in tmp_path.rglob('*.pickle')]
    assert len(grammars) == 2 and all(grammar['symbol2number'] for grammar in grammars)
