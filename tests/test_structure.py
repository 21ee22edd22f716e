"""The package's structure: imports point one way, and a name means one thing."""

import ast
import sys
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'tsm_det'
# A part imports from itself and from the parts before it.
ORDER = [
    'version', 'errors', 'files', 'locks', 'sealed', 'plain_pickle', 'malloc', 'png', 'text_table', 'randomness',
    'mixed_precision', 'shift', 'shift_inplace', 'shift_offline', 'sites', 'windows', 'stream_bank',
    'config_errors', 'config_spelling', 'config', 'published', 'models', 'video', 'cocovid', 'datasets', 'graphs',
    'engines', 'streams', 'evaluation', 'export', 'distributed', 'saved_checkpoints', 'training_hooks', 'run_log',
    'runner', 'publishing', 'benchmark', 'comparison', 'serving', 'fleet', 'ray_testing', '__init__']
TORCH_ONLY = ['shift', 'shift_inplace', 'shift_offline', 'sites']
MODULES = sorted(PACKAGE.rglob('*.py'))


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imported(path):
    """Dotted names of all modules that a file imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path} has a relative import'
            names.append(node.module)
            names += [f'{node.module}.{alias.name}' for alias in node.names if node.module == 'tsm_det']
    return names


def test_every_part_has_its_place_in_the_order():
    assert {part_of(path) for path in MODULES} == set(ORDER)


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    place = ORDER.index(part_of(path))
    for name in imported(path):
        if name.startswith('tsm_det.') and name.split('.')[1] in ORDER:
            assert ORDER.index(name.split('.')[1]) <= place, f'{path.name} imports {name}'


@pytest.mark.parametrize('name', TORCH_ONLY)
def test_the_operator_imports_only_torch(name):
    roots = {imported_name.split('.')[0] for imported_name in imported(PACKAGE / f'{name}.py')}
    assert roots <= {*sys.stdlib_module_names, 'torch', 'tsm_det'}


def test_no_file_name_occurs_twice():
    names = Counter(path.name for path in MODULES if path.name != '__init__.py')
    assert [name for name, count in names.items() if count > 1] == []


def test_no_class_name_occurs_twice():
    names = Counter(node.name for path in MODULES for node in ast.walk(ast.parse(path.read_text()))
                    if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []
