"""A detector for one frame size in tensor operations only, for programs that run graphs."""
