"""Downloads from a server on this machine: verified, restartable, whole files only."""

import functools
import hashlib
import http.server
import threading
from typing import ClassVar

import pytest

from mzsr_lib.benchmark import datasets
from mzsr_lib.benchmark.datasets import Entry
from mzsr_lib.files import InputError

FILES = {"a.png": b"first", "b.png": b"second, longer"}


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, counts what is asked for, and says nothing."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.asked.append(self.path.rpartition("/")[2])
        super().do_GET()


@pytest.fixture
def address(tmp_path):
    """The address of a server that has `FILES`."""
    served = tmp_path / "served"
    served.mkdir()
    for name, content in FILES.items():
        (served / name).write_bytes(content)
    Server.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=served))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def use(monkeypatch, address, **contents):
    """Put a data set of these files in the place of the manifest."""
    files = {name: contents.get(name.removesuffix(".png"), content) for name, content in FILES.items()}
    entries = tuple(
        Entry(name, f"{address}/{name}", hashlib.sha256(content).hexdigest(), len(content))
        for name, content in files.items()
    )
    monkeypatch.setattr(datasets, "manifest", lambda: {"tiny": entries})
    monkeypatch.setattr(datasets, "TRIES", 1)


def test_the_manifest_names_every_data_set():
    counts = {name: len(entries) for name, entries in datasets.manifest().items()}
    assert counts == {
        "set5": 5,
        "set14": 14,
        "bsd100": 100,
        "urban100": 100,
        "bsds500-train": 200,
        "bsds500-test": 200,
    }
    for entries in datasets.manifest().values():
        assert len({entry.file for entry in entries}) == len(entries)
        assert all(
            entry.url.startswith("https://") and len(entry.sha256) == 64 and entry.bytes > 0 for entry in entries
        )


def test_the_root_is_the_environment_s_or_a_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MZSR_DATA", str(tmp_path))
    assert datasets.data_root() == tmp_path
    monkeypatch.delenv("MZSR_DATA")
    assert datasets.data_root().is_absolute()


def test_fetched_files_are_whole_and_not_fetched_twice(monkeypatch, tmp_path, address):
    use(monkeypatch, address)
    root = tmp_path / "data"
    assert datasets.datasets(root)[0]["present"] == 0
    assert datasets.fetch(["tiny"], root, progress=False) == [root / "tiny"]
    assert {path.name: path.read_bytes() for path in (root / "tiny").iterdir()} == FILES
    datasets.fetch(["tiny"], root, progress=False)
    assert sorted(Server.asked) == sorted(FILES)
    assert datasets.folder("tiny", root) == root / "tiny"
    (row,) = datasets.datasets(root)
    assert (row["files"], row["present"], row["verified"]) == (2, 2, "yes")


def test_an_interrupted_download_is_continued(monkeypatch, tmp_path, address):
    use(monkeypatch, address)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "a.png").write_bytes(FILES["a.png"])
    (tmp_path / "tiny" / "b.png").write_bytes(b"half of it")
    assert datasets.check("tiny", tmp_path) == ["b.png"]
    assert datasets.datasets(tmp_path)[0]["verified"] == "no"
    with pytest.raises(InputError, match="holds 1 of the 2 files"):
        datasets.folder("tiny", tmp_path)
    datasets.fetch(["tiny"], tmp_path, progress=False)
    assert Server.asked == ["b.png"]
    assert datasets.check("tiny", tmp_path) == []


def test_a_file_with_another_content_is_not_kept(monkeypatch, tmp_path, address):
    use(monkeypatch, address, b=b"what the manifest wants")
    with pytest.raises(InputError, match=r"b\.png is not the file of the manifest"):
        datasets.fetch(["tiny"], tmp_path, progress=False)
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["a.png"]


def test_a_file_the_server_does_not_have(monkeypatch, tmp_path, address):
    use(monkeypatch, address + "/nowhere")
    with pytest.raises(InputError, match="status 404"):
        datasets.fetch(["tiny"], tmp_path, progress=False)


def test_no_network_is_one_sentence(monkeypatch, tmp_path):
    use(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(InputError, match="cannot be reached") as caught:
        datasets.fetch(["tiny"], tmp_path, progress=False)
    assert "\n" not in str(caught.value)


def test_unknown_names_leave_no_trace(tmp_path):
    for names in (["set5", "set6"], []):
        with pytest.raises(InputError, match="data set"):
            datasets.fetch(names, tmp_path / "data", progress=False)
    assert not (tmp_path / "data").exists()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write"):
        datasets.fetch(["set5"], tmp_path / "file", progress=False)


def test_data_sets_are_known_by_their_content(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"one")
    (tmp_path / "b.png").write_bytes(b"two")
    entries = tuple(Entry(path.name, "", datasets.fingerprint(path), 3) for path in sorted(tmp_path.iterdir()))
    monkeypatch.setattr(datasets, "manifest", lambda: {"mine": entries})
    assert datasets.recognise(tmp_path) == datasets.named_like(tmp_path) == "mine"
    (tmp_path / "b.png").write_bytes(b"2")
    assert datasets.named_like(tmp_path) == "mine" and datasets.recognise(tmp_path) is None


def test_data_sets_are_named_like_others_by_number_and_names(tmp_path):
    assert datasets.recognise(tmp_path / "missing") is None
    assert datasets.named_like(tmp_path) is None
    for number in range(1, 15):
        (tmp_path / f"img_{number:03d}_SRF_2_HR.png").touch()
        known = {5: "set5", 14: "set14"}.get(number)
        assert datasets.named_like(tmp_path) == known
    (tmp_path / "notes.txt").touch()
    assert datasets.named_like(tmp_path) == "set14"
    (tmp_path / "mine.png").touch()
    assert datasets.named_like(tmp_path) is None


def test_the_real_files_are_those_of_the_manifest(data_dir):
    for row in datasets.datasets(data_dir):
        assert row["verified"] in ("yes", "-")
