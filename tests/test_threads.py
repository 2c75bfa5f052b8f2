"""One limit of threads, kept by every pool and by the jobs of a study; results do not depend on it."""

import concurrent.futures
import os
import threading

import numpy as np
import pytest
from flow_cases import random_traffic
from threadpoolctl import threadpool_info, threadpool_limits

import noptoolkit as nop
from noptoolkit._threads import num_threads, one_blas_thread
from noptoolkit.errors import NopError
from noptoolkit.flow.bounds.program import peel
from noptoolkit.flow.optimal import first_order
from noptoolkit.routing import hop_loads
from noptoolkit.routing.problem import routing_problem
from noptoolkit.routing.solution import TreeLoads


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("NOPTOOLKIT_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def test_the_nearest_limit_counts(monkeypatch):
    cores = num_threads()
    assert 1 <= cores <= (os.cpu_count() or 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "7,2")
    assert num_threads() == 7
    monkeypatch.setenv("NUMBA_NUM_THREADS", "6")
    assert num_threads() == 6
    monkeypatch.setenv("NOPTOOLKIT_NUM_THREADS", "5")
    assert num_threads() == 5
    with nop.limit_threads(3):
        assert num_threads() == 3
        with nop.limit_threads(4):
            assert num_threads() == 4
        assert num_threads() == 3
    assert num_threads() == 5


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_a_limit_that_is_none(count):
    with pytest.raises(NopError, match="whole number of threads"), nop.limit_threads(count):
        pass


def test_a_variable_that_is_no_number(monkeypatch):
    monkeypatch.setenv("NOPTOOLKIT_NUM_THREADS", "many")
    with pytest.raises(NopError, match="NOPTOOLKIT_NUM_THREADS='many'"):
        num_threads()


def test_jobs_share_the_cores():
    from joblib import Parallel, delayed

    counts = Parallel(n_jobs=2)(delayed(num_threads)() for _ in range(4))
    assert max(counts) <= max(1, (os.cpu_count() or 1) // 2)


def program():
    package = nop.topology.torus(9, link_bandwidth=1.0)  # more commodities than one block holds
    problem = routing_problem(package, random_traffic(package, 3))
    nodes = len(package.nodes)
    trees = TreeLoads(np.zeros(problem.network.num_arcs), np.zeros(nodes), np.zeros(nodes))
    return peel(problem, trees).program


def test_no_digit_depends_on_threads(monkeypatch):
    monkeypatch.setattr(hop_loads, "LARGE", 1)
    package = nop.topology.torus(5, link_bandwidth=1.0)
    traffic = random_traffic(package, 1)
    assert first_order.Kernels(program()).parts > 1
    found, load = [], []
    for count in (1, 2, 5):
        with nop.limit_threads(count):
            found.append(first_order.solve_first_order(program(), tol=0.02))
            load.append(nop.congestion(package, traffic, routing="ecmp").load)
    for other, loads in zip(found[1:], load[1:], strict=True):
        assert (other.time, other.bound) == (found[0].time, found[0].bound)
        np.testing.assert_array_equal(other.flow, found[0].flow)
        np.testing.assert_array_equal(loads, load[0])


def test_a_pool_is_closed_when_the_solver_fails(monkeypatch):
    pools = []

    class Watched(concurrent.futures.ThreadPoolExecutor):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            pools.append(self)

    monkeypatch.setattr("noptoolkit._threads.ThreadPoolExecutor", Watched)

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(first_order, "_project", fail)
    with nop.limit_threads(2), pytest.raises(KeyboardInterrupt):
        first_order.solve_first_order(program(), tol=0.01)
    (pool,) = pools
    assert pool._max_workers == 2
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(print)


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_one_blas_thread_for_a_while_whoever_asks_and_whatever_fails():
    before, found = blas_threads(), []

    def work():
        for _ in range(20):
            with one_blas_thread(), one_blas_thread():
                found.append(blas_threads())

    others = [threading.Thread(target=work) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert found == [{1}] * 60
    assert blas_threads() == before
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas_threads() == before


def test_layouts_by_eigenvectors_do_not_wait_for_blas_threads(monkeypatch):
    package, trace = nop.load_topology("mesh-4x4"), nop.load_workload("stdlib-moe").trace
    found, eigh = [], np.linalg.eigh
    monkeypatch.setattr("numpy.linalg.eigh", lambda matrix: (found.append(blas_threads()), eigh(matrix))[1])
    with threadpool_limits(2, user_api="blas"):
        nop.allocate(trace, package, method="spectral")
    assert found == [{1}] * trace.num_layers
