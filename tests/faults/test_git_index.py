"""A run that is killed while it asks git leaves no lock in the user's repository."""

import os

from calling import finish

from init_study import drift


def test_asking_git_writes_nothing_into_the_repository(tmp_path, monkeypatch):
    def git(*words):
        person = ("-c", "user.name=n", "-c", "user.email=n@n")
        finish(["git", *person, *words], cwd=tmp_path)

    file = tmp_path / "own.py"
    file.write_text("x = 1\n")
    git("init")
    git("add", "own.py")
    git("commit", "-m", "one")
    # `git status` would take the lock to note the new time in its index.
    os.utime(file, (1e9, 1e9))
    before = (tmp_path / ".git" / "index").read_bytes()
    monkeypatch.setattr(drift, "__file__", str(file))
    found = drift._git()
    assert found["commit"] and found["dirty"] is False
    assert (tmp_path / ".git" / "index").read_bytes() == before
