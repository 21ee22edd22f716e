"""Settings of the documentation site: ``make docs``."""

import runpy
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = 'tsm_det'
release = version = runpy.run_path(str(Path(__file__).parents[1] / 'tsm_det' / 'version.py'))['__version__']
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
# Tables of single comparisons are reached from the pages of results.
suppress_warnings = ['toc.not_included']
myst_heading_anchors = 3
myst_links_external_new_tab = True
nb_execution_mode = 'cache'
nb_execution_timeout = 300
nb_execution_raise_on_error = True
napoleon_use_rtype = False
autodoc_typehints = 'signature'
autodoc_member_order = 'bysource'
autodoc_preserve_defaults = True
html_theme = 'furo'
html_title = f'tsm_det {version}'
html_copy_source = False
html_show_copyright = False
html_static_path = ['_static']
html_css_files = ['wide.css']  # for tables of numbers


def setup(app: Sphinx) -> None:
    """Show CSV as plain text: Pygments does not know it."""
    app.add_lexer('csv', TextLexer)
