"""NumPy's BLAS on one thread for a while."""

import threading

import numpy as np
import pytest

from sonoray import _blas


def test_threads_come_back():
    controls = _blas._controls()
    if not controls:
        pytest.skip("this NumPy brings no OpenBLAS")
    before = [get() for get, _ in controls]
    with _blas.one_blas_thread() as arranged:
        assert arranged and [get() for get, _ in controls] == [1] * len(controls)
        with _blas.one_blas_thread():
            assert np.allclose(np.ones((300, 300)) @ np.ones((300, 300)), 300)
        assert [get() for get, _ in controls] == [1] * len(controls)
    assert [get() for get, _ in controls] == before


def test_users_that_overlap_restore_what_the_first_found():
    calls = []
    state = {"n": 4}

    def put(n):
        calls.append(n)
        state["n"] = n

    controls = ((lambda: state["n"], put),)
    inside, leave = threading.Event(), threading.Event()

    def first():
        with _blas.one_blas_thread():
            inside.set()
            leave.wait(10)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blas, "_controls", lambda: controls)
        thread = threading.Thread(target=first)
        thread.start()
        assert inside.wait(10)
        with _blas.one_blas_thread():
            leave.set()
            thread.join(10)
            assert state["n"] == 1  # the first has gone, the second still works
    assert state["n"] == 4 and calls == [1, 4]


def test_without_a_known_library_nothing_is_promised(monkeypatch):
    monkeypatch.setattr(_blas, "_controls", tuple)
    with _blas.one_blas_thread() as arranged:
        assert not arranged
