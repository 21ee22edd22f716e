"""One table of many benchmarks."""

import json

import pytest

from tsm_det.benchmark.benchmark_table import benchmark_table
from tsm_det.errors import InputError


def test_each_benchmark_is_a_row_with_its_command(report, tmp_path):
    alone = {**report, 'command': 'python other', 'arms': report['arms'][:2], 'size': [600, 1000],
             'settings': {**report['settings'], 'streams': None, 'engine': 'fast'},
             'ratios': {'processor': {'median': 1.0124, 'low': 0.99, 'high': 1.03}}}
    for name, content in (('a', report), ('b', alone)):
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    page = benchmark_table([tmp_path / 'b.json', tmp_path / 'a.json'], tmp_path / 'page.md', 'python table')
    assert (tmp_path / 'page.md').read_text() == page
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in page.splitlines() if line.startswith('| `')]
    tsm, baseline, mmdet = (f'{arm["p50_ms"]:.1f}' for arm in report['arms'])
    machine = f'{report["machine"]["processor"]}, {report["machine"]["threads"]}'
    assert rows[0] == ['`tsm_faster_rcnn_r18_synthvid`', 'fast', machine, '1000x600', '1', tsm, baseline, '-',
                       '1.012 (0.990 to 1.030)', '-']
    assert rows[1][:8] == ['`tsm_faster_rcnn_r18_synthvid`', 'eager', machine, '64x64', '2', tsm, baseline, mmdet]
    assert rows[1][9].startswith(f'{report["ratios"]["throughput_vs_mmdet"]["median"]:.3f} (')
    assert page.index('python other') < page.index(report['command']) and 'python table' in page


@pytest.mark.parametrize('content', ['{}', 'no json', '[]'])
def test_a_file_that_is_not_of_a_benchmark_is_refused(tmp_path, content):
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(InputError, match='a.json'):
        benchmark_table([tmp_path / 'a.json'], tmp_path / 'page.md', 'python table')
    assert not (tmp_path / 'page.md').exists()
