"""Tiny files in the layouts of published ones, and how TFDS comes to expect them."""

import gzip
import hashlib

import numpy as np
import tensorflow_datasets as tfds


def idx(array: np.ndarray) -> bytes:
    """A gzipped IDX file, as the MNIST family is published."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.tobytes(), mtime=0)


def register(monkeypatch, builder, url: str, files: dict[str, bytes]) -> None:
    """Have TFDS expect just these files of a set, below an address."""
    infos = {
        url + name: tfds.core.download.checksums.UrlInfo(
            size=tfds.core.utils.Size(len(content)),
            checksum=hashlib.sha256(content).hexdigest(),
            filename=name,
        )
        for name, content in files.items()
    }
    monkeypatch.setattr(builder, "url_infos", infos)
    if hasattr(builder, "URL"):
        monkeypatch.setattr(builder, "URL", url)
