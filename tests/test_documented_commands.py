"""Every command that the documentation shows is one: its tool's parser takes it; make's targets and extras exist."""

import re
import runpy
import shlex
import sys
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest

from tools.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'data/README.md')),
         *sorted((ROOT / 'docs').rglob('*.md'))]
# Placeholders of numbers; those of files and folders parse as names.
_NUMBERS = {'H': '64', 'W': '64', 'M': '64', 'N': '2'}


def codes(page):
    """What a page sets as code: the lines of its shell blocks, and code inside the text."""
    text = re.sub(r'\\\n\s*', ' ', page.read_text())
    for block in re.findall(r'```(?:bash|sh)\n(.*?)```', text, re.DOTALL):
        yield from block.splitlines()
    for code in re.findall(r'`([^`]+)`', re.sub(r'```.*?```', '', text, flags=re.DOTALL)):
        yield ' '.join(code.split())


def calls(page):
    """The commands of ours on a page, each a tool and its words; mentions such as `tools/test.py --out` are none."""
    for code in codes(page):
        # What $(...) and ${...} give is a word; [...] is optional; sbatch wraps a command in quotes.
        code = re.sub(r"\[|\]|--wrap '|'$", '', re.sub(r'\$(\([^)]*\)|{[^}]*})', '0', code))
        for found in re.finditer(r'(?:python tools/(\w+)\.py|tsm-det (\w+))((?: .*)?)$', code):
            tool, *words = [found[1]] if found[1] else COMMANDS.get(found[2], [found[2]])
            words += shlex.split(found[3].split(' && ')[0], comments=True)
            yield tool, words


def refusal(tool, words, monkeypatch):
    """What the tool's parser says against these words; '' if nothing."""
    monkeypatch.syspath_prepend(ROOT / 'tools')
    monkeypatch.setattr(sys, 'argv', [f'tools/{tool}.py', *(_NUMBERS.get(word, word) for word in words)])
    parse_args = runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='tool')['parse_args']
    with redirect_stderr(StringIO()) as printed:
        try:
            parse_args()
        except SystemExit:
            return printed.getvalue().splitlines()[-1]
    return ''


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_taken_by_its_tool(page, monkeypatch):
    refused = [f'{tool} {shlex.join(words)}: {said}' for tool, words in calls(page)
               if (said := refusal(tool, words, monkeypatch))]
    assert refused == []


def test_a_command_that_its_tool_does_not_take_is_found(tmp_path, monkeypatch):
    (tmp_path / 'page.md').write_text(
        '```bash\npython tools/test.py CONFIG \\\n    CHECKPOINT --metrix m.json   # scores\n'
        'tsm-det detect VIDEO --stride x\n```\nand `python tools/demo.py --seed 1`\n')
    assert [(tool, words, bool(refusal(tool, words, monkeypatch))) for tool, words in calls(tmp_path / 'page.md')] == [
        ('test', ['CONFIG', 'CHECKPOINT', '--metrix', 'm.json'], True),
        ('detect_video', ['VIDEO', '--stride', 'x'], True), ('demo', ['--seed', '1'], False)]


def test_every_tool_target_and_extra_that_is_mentioned_exists():
    everything = '\n'.join(code for page in PAGES for code in codes(page))
    missing = [name for name in re.findall(r'tools/[\w.]+\.(?:py|sh)', everything) if not (ROOT / name).is_file()]
    targets = re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    missing += [name for name in re.findall(r'\bmake ([a-z-]+)', everything) if name not in targets]
    extras = re.findall(r"^ +'(\w+)': \[", (ROOT / 'setup.py').read_text(), re.MULTILINE)
    missing += [name for name in re.findall(r"'(?:\.|tsm_det)\[(\w+)\]'", everything) if name not in extras]
    assert missing == []
    assert targets and extras
