"""The version, readable without the stack."""

__version__ = '0.1.0'
