"""Rows on disk, against the array that they were."""

from __future__ import annotations

import gc
import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.errors import HwflowError
from hwflow.files.rows import StoredRows


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_stored_rows_are_those_of_the_array(dtype: Any) -> None:
    array = np.random.default_rng(0).integers(0, 200, (11, 3, 2)).astype(dtype)
    stored = StoredRows([array[:4], array[4:5], array[5:]])
    few = stored.first(7)
    for ours, theirs in [(stored, array), (few, array[:7])]:
        assert (len(ours), ours.shape, ours.dtype) == (len(theirs), theirs.shape, theirs.dtype)
        for part in (slice(None), slice(0, 4), slice(6, 20), slice(3, 3), slice(5, 6)):
            assert ours[part].dtype == dtype
            np.testing.assert_array_equal(ours[part], theirs[part])


def test_rows_that_are_read_are_nobody_elses() -> None:
    stored = StoredRows([np.zeros((2, 2), dtype=np.float32)])
    stored[:1][:] = 1
    assert not stored[:2].any()


def test_columns_of_an_array_are_stored_as_they_are_seen() -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::2]
    np.testing.assert_array_equal(StoredRows([array])[:], array)


@pytest.mark.parametrize("parts", [[], [np.zeros((0, 5), np.float32)]])
def test_no_rows(parts: Any) -> None:
    stored = StoredRows(parts)
    assert len(stored) == 0
    assert len(stored[:]) == 0


def test_the_file_goes_with_the_last_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gc.collect()
    before = open_files()
    part = StoredRows([np.ones((3, 2), dtype=np.float32)]).first(2)
    assert open_files() == before + 1
    assert part[:].all()
    del part
    assert open_files() == before
    assert not list(tmp_path.iterdir())


def test_rows_that_find_no_room_are_an_error() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(HwflowError, match="File too large; set TMPDIR"):
            StoredRows([np.ones((300, 2), dtype=np.float32)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
