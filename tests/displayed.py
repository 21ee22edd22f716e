"""Display matrices, and what they ask for: an oracle that moves each pixel by itself."""

import struct

import numpy as np

# (a, b, c, d): the pixel in column p and row q is shown at column a p + c q and row b p + d q.
ROTATIONS = [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
MIRRORS = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


def write_matrix(path, matrix):
    """Write a display matrix into an mp4 file, as phones do."""
    content = bytearray(path.read_bytes())
    a, b, c, d = (side << 16 for side in matrix)
    struct.pack_into('>9i', content, content.index(b'tkhd') + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def displayed(image, matrix):
    """Move each pixel of a stored image to where the matrix shows it."""
    a, b, c, d = matrix
    rows, columns = np.mgrid[:image.shape[0], :image.shape[1]]
    right, down = a * columns + c * rows, b * columns + d * rows
    right, down = right - right.min(), down - down.min()
    shown = np.zeros((down.max() + 1, right.max() + 1, 3), np.uint8)
    shown[down, right] = image
    return shown
