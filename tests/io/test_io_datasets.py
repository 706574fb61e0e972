"""The registry, and downloads from a server on this machine."""

import gc
import hashlib
import http.server
import re
import threading
import warnings

import pytest

import sonoray
from sonoray import datasets

CONTENT = bytes(range(256)) * 40


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 1000 if "cut" in self.path else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A registry of one set whose origin is here, an empty cache and an empty data folder."""
    pytest.importorskip("pooch")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        origin = f"http://127.0.0.1:{running.server_address[1]}"
        sha = hashlib.sha256(CONTENT).hexdigest()
        names = {"good.mat": sha, "a b.mat": sha, "wrong.mat": "0" * 64, "missing.mat": sha, "cut.mat": sha}
        monkeypatch.setattr(datasets, "_ORIGIN", origin)
        entry = {"description": "test", "licence": "CC0", "repository": "o/r", "commit": "c" * 40}
        files = [[name, len(CONTENT), digest, f"some folder/{name}"] for name, digest in names.items()]
        table = {
            "here": datasets._dataset("here", {**entry, "files": files}),
            "pair": datasets._dataset("pair", {**entry, "files": files[:2]}),
        }
        monkeypatch.setattr(datasets, "_registry", lambda: table)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("SONORAY_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running
        running.shutdown()
        thread.join()
    with warnings.catch_warnings():  # pooch leaves the socket of a failed request to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def left_behind(tmp_path):
    return [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_a_download_is_verified_and_kept(server, tmp_path, capfd):
    assert datasets.find("here/good.mat") is None
    path = datasets.get("here/good.mat", progress=False)
    assert path.read_bytes() == CONTENT and tmp_path / "cache" in path.parents
    assert datasets.find("here/good.mat") == path
    assert datasets.get("here/good.mat") == path and len(server.requests) == 1  # not again
    assert left_behind(tmp_path) == [path]
    assert capfd.readouterr() == ("", "")


def test_a_set_brings_all_its_files_and_gives_the_main_one(server, tmp_path):
    assert datasets.get("pair", progress=False).name == "good.mat"
    assert sorted(p.name for p in left_behind(tmp_path)) == ["a b.mat", "good.mat"]
    assert server.requests[1] == f"/o/r/{'c' * 40}/some%20folder/a%20b.mat"


@pytest.mark.parametrize(
    ("name", "words"),
    [("wrong.mat", "hash"), ("missing.mat", "404"), ("cut.mat", "hash|IncompleteRead|broken")],
)
def test_failures_say_what_happened_and_leave_nothing(server, tmp_path, name, words):
    with pytest.raises(sonoray.DownloadError, match=words) as caught:
        datasets.get(f"here/{name}", progress=False)
    assert name in str(caught.value) and "SONORAY_DATA" in str(caught.value)
    assert isinstance(caught.value, sonoray.Error) and isinstance(caught.value, OSError)
    assert not left_behind(tmp_path) and datasets.find(f"here/{name}") is None


def test_no_connection(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(sonoray.DownloadError, match="here/good.mat"):
        datasets.get("here/good.mat", progress=False)
    assert not left_behind(tmp_path)


def test_the_data_folder_comes_first(server, tmp_path, monkeypatch):
    mine = tmp_path / "data" / "here" / "good.mat"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(CONTENT)
    assert datasets.get("here/good.mat") == mine and not server.requests
    mine.write_bytes(b"half")  # a copy that was cut off is not taken for the set
    assert datasets.find("here/good.mat") is None
    monkeypatch.delenv("SONORAY_DATA")
    default = tmp_path / "shared" / "data" / "here" / "good.mat"
    default.parent.mkdir(parents=True)
    default.write_bytes(CONTENT)
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    assert datasets.find("here/good.mat").samefile(default)


def test_unknown_names_are_refused(server):
    for name in ("nowhere", "here/nothing.mat", "", "../here"):
        with pytest.raises(sonoray.ArgumentError, match="name"):
            datasets.get(name)


def test_without_pooch_the_extra_is_named(server, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    assert datasets.find("here") is None
    with pytest.raises(sonoray.MissingExtraError, match=r"sonoray\[data\]"):
        datasets.get("here")


def test_the_registry_is_complete():
    sets = datasets.available()
    assert len({d.name for d in sets}) == len(sets) >= 11
    for entry in sets:
        assert entry.description and entry.licence and entry.files and entry.size == sum(f.size for f in entry.files)
        for file in entry.files:
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256) and file.size > 0
            assert re.fullmatch(r"https://raw\.githubusercontent\.com/[\w.-]+/[\w.-]+/[0-9a-f]{40}/\S+", file.url)


def test_files_in_the_data_folder_are_the_registered_ones():
    checked = 0
    for entry in datasets.available():
        path = datasets.find(entry.name)
        if path is not None:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.files[0].sha256
            checked += 1
    if not checked:
        pytest.skip("no data set is here")
