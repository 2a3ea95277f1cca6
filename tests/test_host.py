"""What the host leaves to this process, told from files as the kernel writes them."""

import os

import pytest

from init_study import host


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """Writes what the kernel says, by name; nothing is said at first."""
    monkeypatch.setattr(host, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(host, "_GROUP", tmp_path)
    return lambda name, text: (tmp_path / name).write_text(text)


def test_available_memory_is_not_free_memory(kernel):
    """The kernel frees copies of files for whoever asks for memory."""
    kernel("meminfo", "MemTotal: 9000 kB\nMemFree: 2 kB\nMemAvailable:    300 kB\n")
    assert host.available_bytes() == 300 * 1024


def test_a_control_group_limits_memory(kernel):
    kernel("meminfo", "MemTotal: 9000 kB\nMemFree: 2 kB\nMemAvailable:    300 kB\n")
    kernel("memory.current", "1000\n")
    kernel("memory.max", "max\n")
    assert host.available_bytes() == 300 * 1024
    kernel("memory.max", "51000\n")
    assert host.available_bytes() == 50_000
    kernel("memory.max", "900\n")
    assert host.available_bytes() == 0


def test_a_system_that_says_nothing_limits_nothing(kernel):
    assert host.available_bytes() is None


def test_cores_are_counted_where_there_is_no_affinity(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 6}, raising=False)
    assert host.usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert host.usable_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert host.usable_cores() == 1
