"""The command tsm-det: runs the tools in this folder. Standard library only, so that help does not wait for torch."""

from __future__ import annotations

import ast
import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
# Name of a command: the tool that it runs, and arguments in front of the user's.
COMMANDS = {
    'train': ['train'], 'test': ['test'], 'detect': ['detect_video'],
    'track': ['detect_video', '--track', 'bytetrack'], 'benchmark': ['benchmark'], 'compare': ['compare'],
    'convert': ['convert_dataset'], 'init': ['init_config'], 'export': ['export_onnx'], 'serve': ['serve'],
    'fleet': ['detect_videos'], 'demo': ['demo']}


def main() -> None:
    """Run the tool that the first argument names."""
    # A shell that asks for completions passes no arguments but COMP_LINE, which ends at the cursor with this word.
    completes = '_ARGCOMPLETE' in os.environ
    words = os.environ['COMP_LINE'][:int(os.environ['COMP_POINT'])].split(' ') if completes else sys.argv
    if completes and words[1] in COMMANDS and len(words) > 2:
        os.environ['_ARGCOMPLETE'] = '2'  # the tool's words start behind the name of the command
        name = words[1]
    else:
        name = _parse(words[1:2])
    module, *arguments = COMMANDS[name]
    sys.argv = [f'tsm-det {name}', *arguments, *sys.argv[2:]]
    sys.path.insert(0, str(FOLDER))  # as when Python runs a tool's file
    tool = import_module(module)
    import_module('command_line').run(tool.parse_args, tool.main)


def _parse(words: list[str]) -> str:
    width = max(map(len, COMMANDS))
    parser = ArgumentParser(
        prog='tsm-det', usage='tsm-det detect VIDEO --out drawn.mp4 | COMMAND ...',
        formatter_class=RawDescriptionHelpFormatter,
        description='Online video object detection with the Temporal Shift Module.\n\ncommands:\n' + '\n'.join(
            f'  {name.ljust(width)}  {_summary(*words)}' for name, words in COMMANDS.items()),
        epilog='tsm-det COMMAND --help lists the options of a command.')
    parser.add_argument('--version', action='version', version=version('tsm_det'))
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help='one of these')
    if '_ARGCOMPLETE' in os.environ:
        import argcomplete
        argcomplete.autocomplete(parser)
    return parser.parse_args(words).command


def _summary(tool: str, *arguments: str) -> str:
    """First line of a tool's docstring."""
    line = ast.get_docstring(ast.parse((FOLDER / f'{tool}.py').read_text())).splitlines()[0]
    return ' '.join([line, *arguments])
