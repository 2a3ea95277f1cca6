"""Fashion-MNIST from Debian's package `dataset-fashion-mnist`, in place of a download.

Debian's files hold the publisher's compressed data with another gzip header: without
the name of the file and with another time. With the header put back (RFC 1952) they
are the published files again, byte for byte, which TFDS then verifies by its SHA-256.
"""

import struct
from pathlib import Path

PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
# When the publisher compressed each file, in seconds since 1970.
_COMPRESSED_AT = {
    "train-images-idx3-ubyte.gz": 1504176606,
    "train-labels-idx1-ubyte.gz": 1504176606,
    "t10k-images-idx3-ubyte.gz": 1504176627,
    "t10k-labels-idx1-ubyte.gz": 1504176627,
}
_HEADER_SIZE = 10


def is_installed() -> bool:
    """Say whether Debian's package lies on this machine."""
    return all((DEBIAN_FOLDER / name).is_file() for name in _COMPRESSED_AT)


def restore_published_files(folder: Path) -> None:
    """Write the four published files, rebuilt from Debian's, into a folder."""
    for name, time in _COMPRESSED_AT.items():
        rebuilt = published_bytes((DEBIAN_FOLDER / name).read_bytes(), name, time)
        (folder / name).write_bytes(rebuilt)


def published_bytes(compressed: bytes, name: str, time: int) -> bytes:
    """Put back the header that `gzip` writes for a file on Unix.

    Args:
        compressed: a gzip file whose header has none of the optional fields.
        name: what the file is called, with `.gz`.
        time: when the original was last changed, in seconds since 1970.

    Example:
        >>> import gzip
        >>> gzip.decompress(published_bytes(gzip.compress(b"images"), "images.gz", 0))
        b'images'
    """
    has_name, unix = 0x08, 3
    header = struct.pack("<2sBBIBB", b"\x1f\x8b", 8, has_name, time, 0, unix)
    original_name = name.removesuffix(".gz").encode() + b"\0"
    return header + original_name + compressed[_HEADER_SIZE:]
