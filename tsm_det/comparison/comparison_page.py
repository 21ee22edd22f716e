"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tsm_det.text_table import markdown_table

_KINDS = {'all': 'AP50', 'subset': 'AP50 by kind of frame', 'frame': 'AP50 by frames since the start of the video',
          'stability': 'Stability along the tracks of true objects (lower is steadier)'}


def page(content: dict) -> str:
    """Format the content of ``results.json``."""
    left = [run for run in content['runs'] if run['state'] != 'finished']
    arms = ', '.join(arm['name'] for arm in content['arms'])
    blocks = [f'# Comparison: {arms}', *_code(content['command']), '', headline(content), '']
    blocks += [f'**Unfinished: {len(left)} of {len(content["runs"])} runs are missing.** Means are over finished runs, '
               'differences over the seeds that both arms have.', ''] if left else []
    blocks += [_reading(content['test']), '', '## Differences of the configs', '']
    shared = [option for option in content['arms'][0]['options']
              if all(option in arm['options'] for arm in content['arms'])]
    blocks += [f'- `{arm["name"]}`: {_arm(arm, content["baseline"], shared)}' for arm in content['arms']]
    blocks += [f'- all: `{" ".join(shared)}`'] if shared else []
    for kind in dict.fromkeys(part['kind'] for part in content['parts']):
        blocks += ['', f'## {_KINDS.get(kind, f"AP50 by {kind}")}', '', *_parts_table(content, kind)]
    return '\n'.join([*blocks, '', '## Runs', '', *_runs_table(content['runs']), *_commands(content), ''])


def headline(content: dict) -> str:
    """A row per arm: AP50, seeds, difference from the baseline, latency as a multiple of it."""
    baseline = content['baseline']
    every = next((part for part in content['parts'] if part['kind'] == 'all'), {'arms': {}, 'differences': {}})
    rows = []
    for arm in content['arms']:
        seeds = arm['seeds'] if arm['finished'] == arm['seeds'] else (
            f'**unfinished**, {arm["finished"]} of {arm["seeds"]}')
        ratio = '{median:.3f} [{low:.3f}, {high:.3f}]'.format(**arm['latency']['ratio']) if arm['latency'] else '-'
        rows.append([arm['name'], _mean(every['arms'].get(arm['name'])), seeds, *(
            ('baseline', 1) if arm['name'] == baseline else
            (_difference(every['differences'].get(arm['name'])), ratio))])
    return '\n'.join(markdown_table(
        ['arm', 'AP50 (mean ± sd)', 'seeds', f'minus {baseline} [95 %]', 'latency ratio [95 %]'], rows))


def _reading(test: dict) -> str:
    return (f'AP50 of protocol `coco`, over {test["frames"]:,} frames with {test["boxes"]:,} boxes, each streamed; sd '
            f'over seeds. Intervals: {test["draws"]:,} bootstrap draws of {test["groups"]} groups of videos and of '
            'the seeds, the same for both arms. Intervals of one seed leave out the spread of seeds, and those of few '
            'groups (column `groups`; below ten or so) are too narrow. Classes without a box in a draw are left out '
            'of its mean, for both arms. Unmatched detections are false positives in every range of motion, so AP50 '
            'of each range may be below that of all boxes. Other metrics: `results.json`.')


def _arm(arm: dict, baseline: str, shared: Sequence[str]) -> str:
    own = [option for option in arm['options'] if option not in shared]
    what = f'`{" ".join((arm["config"], *own))}`'
    if arm['name'] == baseline:
        return f'{what}, the baseline'
    keys = ', '.join(f'`{key}`' for key in arm['differs_in'])
    other = any(not key.startswith('model.') for key in arm['differs_in'])
    return f'{what}: {keys or "none"}' + (' (**not only the network differs**)' if other else '')


def _parts_table(content: dict, kind: str) -> list[str]:
    names = [arm['name'] for arm in content['arms']]
    others = [name for name in names if name != content['baseline']]
    count = 'tracks' if kind == 'stability' else 'boxes'
    rows = [[part['name'], f'{part["boxes"]:,}', part['groups'], *(_mean(part['arms'].get(name)) for name in names),
             *(_difference(part['differences'].get(name)) for name in others)]
            for part in content['parts'] if part['kind'] == kind]
    differences = [f'{name} minus {content["baseline"]} [95 %]' for name in others]
    return markdown_table([kind, count, 'groups', *names, *differences], rows)


def _runs_table(runs: Sequence[dict]) -> list[str]:
    rows = []
    for run in runs:
        seconds = [f'{step["seconds"]:.0f}' + ' (resumed)' * step.get('resumed', False) if step else '-'
                   for step in map(run['steps'].get, ('train', 'test'))]
        rows.append([run['arm'], run['seed'], f'{run["ap50"]["all/all"]:.3f}' if run['ap50'] else '-',
                     run['state'] if run['state'] == 'finished' else f'**{run["state"]}** {run["log"] or ""}'.strip(),
                     *seconds])
    return markdown_table(['arm', 'seed', 'AP50', 'state', 'training s', 'test s'], rows)


def _commands(content: dict) -> list[str]:
    lines = []
    for run in content['runs']:
        commands = [step['command'] for step in run['steps'].values()] or [f'# detections: {run["results"]}']
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


def _difference(difference: dict | None) -> str:
    if difference is None:
        return '-'
    interval = '' if difference['low'] is None else f' [{difference["low"]:+.3f}, {difference["high"]:+.3f}]'
    return f'{difference["mean"]:+.3f}{interval}'


def _code(*lines: str) -> list[str]:
    return ['', '```bash', *lines, '```']
