"""Files are written whole or not at all, and a place that cannot be written is one sentence."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mzsr_lib import files
from mzsr_lib.files import InputError

ROOT = Path(__file__).resolve().parents[1]


def test_a_new_file_appears_whole_with_its_folder(tmp_path):
    path = tmp_path / "new" / "deep" / "result.txt"
    with files.atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("done")
        assert not path.exists()
    assert path.read_text() == "done"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(error), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    ordinary, ours = tmp_path / "ordinary", tmp_path / "ours"
    ordinary.write_text("")
    with files.atomic_path(ours) as temporary:
        temporary.write_text("")
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


KILLED = """
import os, signal, sys
from mzsr_lib.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    path = tmp_path / "result.txt"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    [left] = tmp_path.iterdir()
    assert left.read_text() == "half"
    mine = [tmp_path / ".result-abcdefgh.txt", tmp_path / ".mzsr-notes.txt", tmp_path / "other.txt"]
    for other in mine:
        other.write_text("not ours")
    with files.atomic_path(path) as temporary:
        temporary.write_text("done")
    assert sorted(tmp_path.iterdir()) == sorted([path, *mine])


def test_what_is_being_written_is_left_alone(tmp_path):
    path = tmp_path / "result.txt"
    with files.atomic_path(path) as first:
        first.write_text("first")
        with files.atomic_path(path) as second:
            assert first.exists() and first != second
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


def test_the_longest_names_can_be_written_and_longer_ones_are_one_sentence(tmp_path):
    with files.atomic_path(tmp_path / ("a" * 251 + ".txt")) as temporary:
        temporary.write_text("long")
    for name in ("a" * 252 + ".txt", "é" * 126 + ".txt", "a\0b"):
        with pytest.raises(InputError, match="Cannot write"), files.atomic_path(tmp_path / name):
            pass
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_is_had_by_one_at_a_time(tmp_path):
    with files.locked(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()
        with files.locked(tmp_path / "other"), pytest.raises(InputError, match="Another process is at work"):
            files.locked(tmp_path / "run").__enter__()
    with files.locked(tmp_path / "run"):
        assert list((tmp_path / "run").iterdir()) == []


def test_a_folder_cannot_be_written_as_a_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        files.check_writable(tmp_path)


@pytest.mark.parametrize("name", ["out.txt", "deep/out.txt"])
def test_a_place_below_a_file_cannot_be_written(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another place"):
        files.check_writable(tmp_path / "file" / name)


def test_checking_leaves_neither_file_nor_folder(tmp_path):
    files.check_writable(tmp_path / "a" / "b" / "out.txt")
    assert list(tmp_path.iterdir()) == []


def test_only_an_ordinary_file_is_replaced_and_a_link_stays_one(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, target in (("link", "deep/file"), ("round", "round")):
        (tmp_path / name).symlink_to(target)
    for text in ("new", "newer"):
        with files.atomic_path(tmp_path / "link") as temporary:
            temporary.write_text(text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "deep" / "file").read_text() == text
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "locked").write_text("kept")
    (tmp_path / "locked").chmod(0o444)
    refused = {"pipe": "no ordinary file", "locked": "read-only", "round": "Cannot write", "deep": "is a folder"}
    for name, part in refused.items():
        with pytest.raises(InputError, match=part), files.atomic_path(tmp_path / name) as temporary:
            temporary.write_text("lost")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "link", "locked", "pipe", "round"]
    assert (tmp_path / "locked").read_text() == "kept"


def test_a_folder_is_a_folder(tmp_path):
    assert files.existing_folder(str(tmp_path)) == tmp_path
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file with that name"):
        files.existing_folder(tmp_path / "file")
    with pytest.raises(InputError, match="nothing with that name"):
        files.existing_folder(tmp_path / "none")


def test_rows_come_back(tmp_path):
    rows = [{"image": "a, b", "psnr": 20.5}, {"image": 'say "c"', "psnr": 31}]
    files.write_rows(tmp_path / "rows.csv", rows)
    expected = [{"image": "a, b", "psnr": "20.5"}, {"image": 'say "c"', "psnr": "31"}]
    assert files.read_rows(tmp_path / "rows.csv") == expected


def test_a_name_that_is_no_utf_8_comes_back(tmp_path):
    rows = [{"image": os.fsdecode(b"caf\xe9.png"), "note": "\u5199\u771f"}]
    files.write_rows(tmp_path / "rows.csv", rows)
    assert (tmp_path / "rows.csv").read_bytes().endswith(b"caf\xe9.png," + "\u5199\u771f".encode() + b"\n")
    assert files.read_rows(tmp_path / "rows.csv") == rows


DAMAGED = {"short": b"x,y\n1\n", "long": b"x,y\n1,2,3\n", "quotes": b'x,y\n"1,2\n'}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_rows_are_one_sentence(tmp_path, case):
    (tmp_path / "rows.csv").write_bytes(DAMAGED[case])
    with pytest.raises(InputError, match=r"rows\.csv"):
        files.read_rows(tmp_path / "rows.csv")


def test_records_come_back_without_a_last_line_that_was_cut(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"a": 1}\n{"b": "\u00e9"}\n{"c": ', encoding="utf-8")
    assert files.read_records(path) == [{"a": 1}, {"b": "\u00e9"}]
    path.write_bytes(b'{"a": 1}\n\x00\x00\n{"b": 2}\n')
    with pytest.raises(InputError, match=r"Line 2 of .*records\.jsonl is damaged"):
        files.read_records(path)
    path.write_bytes(b"[" * 200_000 + b"\n{}\n")
    with pytest.raises(InputError, match="Line 1"):
        files.read_records(path)


def test_comments_in_rows_are_passed_over(tmp_path):
    (tmp_path / "rows.csv").write_text("# where it is from\nx,y\n1,2\n# later\n3,4\n")
    assert files.read_rows(tmp_path / "rows.csv") == [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]


def test_no_rows_are_an_error_and_leave_the_old_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(InputError, match="no rows"):
        files.write_rows(path, [])
    assert path.read_text() == "old"


def test_the_commit_is_a_hash_or_unknown(monkeypatch, tmp_path):
    found = files.git_commit()
    assert found == "unknown" or (len(found.rstrip("+")) == 12 and int(found.rstrip("+"), 16) >= 0)
    monkeypatch.setattr(files, "__file__", str(Path(tmp_path) / "files.py"))
    assert files.git_commit() == "unknown"
