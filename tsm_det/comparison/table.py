"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def page(content: dict) -> str:
    """Everything: arms, parts of the test set, runs and their commands.

    Args:
        content: from :meth:`tsm_det.comparison.summary.Summary.collect`, and the ``command``.
    """
    left = [run for run in content['runs'] if run['state'] != 'finished']
    blocks = ['# Comparison', *_code(content['command']), '', headline(content), '']
    blocks += [f'**Unfinished: {len(left)} of {len(content["runs"])} runs are missing.** Means are over what there is, '
               'differences over the seeds that both arms have.', ''] if left else []
    blocks += [_reading(content), '', '## What differs', '']
    shared = [option for option in content['arms'][0]['options']
              if all(option in arm['options'] for arm in content['arms'])]
    blocks += [f'- `{arm["name"]}`: {_arm(arm, content["baseline"], shared)}' for arm in content['arms']]
    blocks += [f'- all: `{" ".join(shared)}`'] if shared else []
    for kind in dict.fromkeys(part['kind'] for part in content['parts']):
        blocks += ['', f'## AP50 by {_KINDS.get(kind, kind)}' if kind != 'all' else '## AP50', '',
                   _parts_table(content, kind)]
    return '\n'.join([*blocks, '', '## Runs', '', _runs_table(content['runs']), *_commands(content), ''])


def headline(content: dict) -> str:
    """A row an arm: AP50, seeds, difference with the baseline, latency as a multiple of it."""
    baseline = content['baseline']
    every = next((part for part in content['parts'] if part['kind'] == 'all'), {'arms': {}, 'differences': {}})
    rows = [_row(arm['name'], _mean(every['arms'].get(arm['name'])), _seeds(arm),
                 'baseline' if arm['name'] == baseline else _difference(every['differences'].get(arm['name'])),
                 1 if arm['name'] == baseline else _ratio(arm['latency'])) for arm in content['arms']]
    return _table(('arm', 'AP50 (mean ± sd)', 'seeds', f'less {baseline} [95 %]', 'latency ratio [95 %]'), rows)


_KINDS = {'subset': 'kind of frame', 'frame': 'frames since the start of the video'}


def _reading(content: dict) -> str:
    test = content['test']
    return (f'AP50 of protocol `coco`, over {test["frames"]:,} frames with {test["boxes"]:,} boxes, each streamed; sd '
            f'over seeds. Intervals: {test["draws"]:,} bootstrap draws of {test["groups"]} groups of videos and of '
            'the seeds, the same for both arms. With one seed they leave out what the seed does, and where few groups '
            'have boxes (the column `groups`; below ten or so) they are too narrow. A class without a box in a draw is '
            'left out of its mean, for both arms. A detection of nothing counts against every '
            'range of motion, so all may lie below the whole. Other metrics: `results.json`.')


def _arm(arm: dict, baseline: str, shared: Sequence[str]) -> str:
    own = [option for option in arm['options'] if option not in shared]
    what = f'`{" ".join((arm["config"], *own))}`'
    if arm['name'] == baseline:
        return f'{what}, the baseline'
    keys = ', '.join(f'`{key}`' for key in arm['differs_in'])
    other = [key for key in arm['differs_in'] if not key.startswith('model.')]
    return f'{what}: {keys or "nothing"}' + (' (**trained otherwise, not the network alone**)' if other else '')


def _parts_table(content: dict, kind: str) -> str:
    names = [arm['name'] for arm in content['arms']]
    others = [name for name in names if name != content['baseline']]
    rows = [_row(part['name'], f'{part["boxes"]:,}', part['groups'], *(_mean(part['arms'].get(name)) for name in names),
                 *(_difference(part['differences'].get(name)) for name in others))
            for part in content['parts'] if part['kind'] == kind]
    differences = [f'{name} less {content["baseline"]} [95 %]' for name in others]
    return _table((kind, 'boxes', 'groups', *names, *differences), rows)


def _runs_table(runs: Sequence[dict]) -> str:
    rows = [_row(run['arm'], run['seed'], f'{run["ap50"]["all/all"]:.3f}' if run['ap50'] else '-',
                 run['state'] if run['state'] == 'finished' else f'**{run["state"]}** {run["log"] or ""}'.strip(),
                 *(_seconds(run['steps'].get(step)) for step in ('train', 'test'))) for run in runs]
    return _table(('arm', 'seed', 'AP50', 'state', 'training s', 'test s'), rows)


def _seconds(step: dict | None) -> str:
    if step is None:
        return '-'
    return f'{step["seconds"]:.0f}' + (f' (last of {step["starts"]} starts)' if step['starts'] > 1 else '')


def _commands(content: dict) -> list[str]:
    lines = []
    for run in content['runs']:
        commands = [step['command'] for step in run['steps'].values()]
        if commands or run['next']:
            lines += ['', f'{run["arm"]}, seed {run["seed"]}:',
                      *_code(*commands, *([f'{run["next"]}  # not done yet'] if run['next'] else []))]
    for arm in content['arms']:
        if arm['latency']:
            lines += ['', f'{arm["name"]}, latency:', *_code(arm['latency']['command'])]
    return lines


def _mean(spread: dict | None) -> str:
    if spread is None:
        return '-'
    return f'{spread["mean"]:.3f}' + ('' if spread['sd'] is None else f' ± {spread["sd"]:.3f}')


def _difference(found: dict | None) -> str:
    if found is None:
        return '-'
    interval = '' if found['low'] is None else f' [{found["low"]:+.3f}, {found["high"]:+.3f}]'
    return f'{found["mean"]:+.3f}{interval}'


def _seeds(arm: dict) -> str:
    return str(arm['seeds']) if arm['finished'] == arm['seeds'] else (
        f'**unfinished**, {arm["finished"]} of {arm["seeds"]}')


def _ratio(latency: dict | None) -> str:
    if latency is None:
        return '-'
    return '{median:.3f} [{low:.3f}, {high:.3f}]'.format(**latency['ratio'])


def _code(*lines: str) -> list[str]:
    return ['', '```bash', *lines, '```']


def _row(*cells: object) -> str:
    return f'| {" | ".join(map(str, cells))} |'


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    return '\n'.join([_row(*heads), f'|{"---|" * len(heads)}', *rows])
