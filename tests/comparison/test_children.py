"""Child processes of a comparison find what they share ready."""

import os
import pickle
import subprocess
import sys


def test_yapfs_grammar_is_in_the_cache_before_children_start(tmp_path):
    """Two trainings that both came first would read what the other is writing."""
    subprocess.run([sys.executable, '-c', 'import tsm_det.comparison.children'], check=True,
                   env={**os.environ, 'XDG_CACHE_HOME': str(tmp_path)})
    grammars = list(tmp_path.rglob('*.pickle'))
    assert len(grammars) == 2
    for grammar in grammars:
        assert pickle.loads(grammar.read_bytes())['symbol2number']
