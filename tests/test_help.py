"""What the help of every command says: the defaults, and an example that works."""

import inspect
import sys
from argparse import SUPPRESS
from pkgutil import resolve_name

import pytest

from tests.test_command_line import TOOLS
from tests.test_documented_commands import ROOT, refusal
from tools.converters import COMMANDS


@pytest.fixture
def parser_of(run, monkeypatch):
    """The parser of a tool, before it reads any word."""
    def parser_of(tool):
        monkeypatch.syspath_prepend(ROOT / 'tools')
        import tool_options
        parsers = []

        def parse(parser):
            parsers.append(parser)
            sys.exit()
        for method in ('parse_args', 'parse_intermixed_args'):
            monkeypatch.setattr(tool_options.Parser, method, parse)
        run(tool)
        return parsers[0]
    return parser_of


def states(text, default):
    """Whether a help text names a default value."""
    values = default if isinstance(default, list | tuple) else [default]
    return f'default: {" ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)}' in (
        text.replace("'", '')) or f'{default} (default)' in text.replace("'", '')


@pytest.mark.parametrize('tool', TOOLS)
def test_help_states_every_default(tool, parser_of):
    arguments = [action for action in parser_of(tool)._actions if action.help != SUPPRESS and action.dest != 'help']
    assert arguments
    assert [action.dest for action in arguments if action.default not in (None, False, SUPPRESS, [], {})
            and not states(action.help, action.default)] == []


@pytest.mark.parametrize('name', COMMANDS)
def test_help_of_a_converter_states_the_defaults_of_its_function(name):
    parameters = inspect.signature(resolve_name(COMMANDS[name].function)).parameters
    unstated = []
    for flag in COMMANDS[name].flags:
        default = parameters[flag.options.get('dest', flag.name.strip('-').replace('-', '_'))].default
        if default not in (inspect.Parameter.empty, None, False, ()) and not states(flag.help, default):
            unstated.append((flag.name, default))
    assert unstated == []


@pytest.mark.parametrize('tool', TOOLS)
def test_the_example_of_a_tool_is_taken_by_it(tool, parser_of, monkeypatch):
    _, program, *words = parser_of(tool).usage.partition(' | ')[0].replace('[options]', '').replace(' ...', '').split()
    monkeypatch.undo()
    assert program == f'tools/{tool}.py'
    assert refusal(tool, [word.strip('[]') for word in words], monkeypatch) == ''


@pytest.mark.parametrize('name', COMMANDS)
def test_help_of_a_converter_begins_with_an_example_that_it_takes(name, run, monkeypatch):
    status, out, _ = run(f'convert_dataset {name} --help')
    assert status == 0
    assert out.splitlines()[0].startswith(f'usage: python tools/convert_dataset.py {name} ')
    assert refusal('convert_dataset', [name, *COMMANDS[name].example.split()], monkeypatch) == ''
