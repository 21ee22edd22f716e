"""Parse XML files from strangers."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from tsm_det.errors import InputError

LINE = ' line'  # key of an element's line; not a possible name of an XML attribute


def parse_xml(path: Path) -> Element:
    """Return the root element; elements know their line. A DTD is refused: its entities could grow without end."""
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_) -> None:
        raise InputError(f'{path} has a document type, which no annotation tool writes and which can be an '
                         'attack: export it again, or remove the line <!DOCTYPE ...>')

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda tag, keys: builder.start(tag, {**keys, LINE: str(parser.CurrentLineNumber)})
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        with path.open('rb') as file:
            parser.ParseFile(file)
    except InputError:
        raise
    except (OSError, expat.ExpatError, ValueError, LookupError) as error:  # the last two: encodings
        raise InputError(f'{path} cannot be read as XML ({error}): export it again') from error
    return builder.close()
