"""A detector in tensor operations only, for programs that run graphs."""
