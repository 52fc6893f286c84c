"""Files are written whole or not at all, and a place that cannot be written is one sentence."""

import stat
from pathlib import Path

import pytest

from mzsr_lib import files
from mzsr_lib.files import InputError


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


def test_a_folder_cannot_be_written_as_a_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        files.check_writable(tmp_path)


@pytest.mark.parametrize("name", ["out.txt", "deep/out.txt"])
def test_a_place_below_a_file_cannot_be_written(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another place"):
        files.check_writable(tmp_path / "file" / name)


def test_checking_leaves_no_file(tmp_path):
    files.check_writable(tmp_path / "a" / "out.txt")
    assert list((tmp_path / "a").iterdir()) == []


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
