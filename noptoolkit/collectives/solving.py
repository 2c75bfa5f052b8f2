"""Collectives on a package: what is asked, checked, solved and put together as a result."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit._names import did_you_mean, resolve
from noptoolkit.collectives.algorithms.classic import ALGORITHMS, steps_of
from noptoolkit.collectives.optimum import solve_optimally
from noptoolkit.collectives.result import CollectiveResult, CollectiveStatus
from noptoolkit.collectives.values.answers import Answer, ProvedBound
from noptoolkit.collectives.values.requests import Request, Shares, check_members, kind_of
from noptoolkit.collectives.values.theorems import NOTHING
from noptoolkit.errors import InfeasibleError, RoutingError, UnknownNameError, WorkloadError
from noptoolkit.network import FlowNetwork, flow_network
from noptoolkit.package import Package, expect_package
from noptoolkit.units import Quantity

__all__ = ["assemble", "bounds_of", "collective", "requests_of"]

EXACT = 1e-6
ALIKE = 1e-12

Among = str | Sequence[str]


def requests_of(
    package: Package,
    kind: str | None,
    size: Quantity | None,
    *,
    among: Among | None = None,
    groups: Sequence[Request | Sequence[str]] | None = None,
    root: str | None = None,
    shares: Shares | None = None,
) -> tuple[Request, ...]:
    """Return what is asked as requests whose members are nodes of the package; see `collective`."""
    expect_package(package)
    if root is not None:
        root = package[root].name
    if groups is not None and among is not None:
        raise WorkloadError("give the members of one group (among) or several groups, not both")
    if groups is None:
        if kind is None:
            raise WorkloadError("name the kind of collective, such as 'all-reduce'")
        kind_of(kind)
        wanted: list[Request | Sequence[str]] = [_chosen(package, among)]
    else:
        wanted = list(groups)
        if isinstance(groups, str) or not wanted:
            raise WorkloadError(f"groups {groups!r}: give a list of groups, each a list of names")
    requests = []
    for group in wanted:
        if isinstance(group, Request):
            requests.append(group)
        elif kind is None:
            raise WorkloadError("groups of names need a kind; or give Request values")
        else:
            requests.append(Request(kind, size, group, root, shares))
    for request in requests:
        check_members(package, request)
    return tuple(requests)


def _chosen(package: Package, among: Among | None) -> Sequence[str]:
    if not package.terminals:
        raise WorkloadError(
            f"package {package.name!r} has no terminals: no chiplet can take part in a collective"
        )
    if among is None:
        return package.experts if len(package.experts) >= 2 else package.terminals
    if isinstance(among, str):
        named = {"experts": package.experts, "terminals": package.terminals}
        if among not in named:
            hint = did_you_mean(among, named)
            raise UnknownNameError(f"among {among!r} is not a set of chiplets; {hint}; or give names")
        if len(named[among]) < 2:
            raise WorkloadError(
                f"package {package.name!r} has {len(named[among])} {among}: name two members or more"
            )
        return named[among]
    for name in among:
        package[str(name)]  # a wrong name is said as such, before the group is counted
    return among


def collective(
    package: Package,
    kind: str | None = None,
    size: Quantity | None = None,
    *,
    among: Among | None = None,
    groups: Sequence[Request | Sequence[str]] | None = None,
    root: str | None = None,
    shares: Shares | None = None,
    algorithm: str = "optimal",
    in_network: bool | None = None,
    tol: float = 0.01,
    time_limit: float | None = None,
    report: Callable[[str], None] | None = None,
    optimum: CollectiveResult | None = None,
    trees: bool = True,
    forwards: bool | Sequence[str] = True,
) -> CollectiveResult:
    """Return how fast collectives can be on a package, with the schedule and the proof.

    Parameters
    ----------
    package
        Package whose channels, crossbars and ports are the capacities.
    kind
        ``broadcast``, ``reduce``, ``scatter``, ``gather``, ``all-gather``, ``reduce-scatter``,
        ``all-reduce``, ``all-to-all`` or ``send``; see `noptoolkit.collectives.values.requests` for what each
        moves.
    size
        Bytes of the whole buffer, such as ``"64 MB"``; ``None`` is the sum of ``shares``.
    among
        Members of one group: ``experts`` (the default where there are two or more), ``terminals``, or names.
    groups
        Several groups that work at the same time: lists of names (all of this kind and size), or `Request`
        values of different kinds and sizes.
    root
        Root of a rooted kind; ``None`` is the first member.
    shares
        Bytes of each member's share, in order or by name; makes the *v* variants.
    algorithm
        ``optimal``, or one in use today: a name in ``ALGORITHMS``.
    in_network
        Whether relays add and copy for an all-reduce: ``None`` lets those that say so (``replicates`` and
        ``reduces``), ``True`` every relay, ``False`` none. The bandwidth of other kinds does not depend on
        it.
    tol
        Gap between time and bound at which solvers of large packages may stop.
    time_limit
        Time for the iterative solvers, in s; the interval reached by then is returned.
    report
        Function that is told the progress of long solves, one line at a time.
    optimum
        Optimal result of the same requests, whose bounds an algorithm of today then takes instead of solving
        for them anew.
    trees
        Whether a schedule is wanted. ``False`` answers several groups (and one on a large package) by time,
        bound and loads alone where package and groups are symmetric, in a fraction of the time.
    forwards
        Which chiplets forward: all of them, none (``False``), or those named. Through one that does not,
        nothing passes, and it sends nothing but what is its own: its share or contribution, and sums that
        end there. Switches always forward.

    Returns
    -------
    CollectiveResult

    Raises
    ------
    UnknownNameError
        If a member, a root, a kind or an algorithm is unknown.
    WorkloadError
        If a group has fewer than two members or one twice, or sizes make no sense.
    InfeasibleError
        If a member cannot be reached.
    RoutingError
        If an algorithm does not apply, or an option is out of range.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> mesh = topology.mesh(4, 4, link_bandwidth="1 GB/s")
    >>> best = collective(mesh, "all-reduce", "1 GB")
    >>> best.time, best.time_bound, best.status
    (0.625, 0.625, 'exact')
    """
    if not isinstance(algorithm, str):
        raise UnknownNameError(
            f"algorithm {algorithm!r} is not a name; {did_you_mean('', ['optimal', *ALGORITHMS])}"
        )
    if in_network not in (None, True, False):
        raise RoutingError(f"in_network {in_network!r}: True, False, or None for relays that say so")
    if not tol > 0:
        raise RoutingError(f"tol {tol!r} must be above 0; write tol=0.01 for 1 %")
    if time_limit is not None and not time_limit > 0:
        raise RoutingError(f"time_limit {time_limit!r} must be above 0 s; leave it out for none")
    begun = clock.perf_counter()
    requests = requests_of(package, kind, size, among=among, groups=groups, root=root, shares=shares)
    network = _with_ends(package, requests, forwards)
    deadline = begun + time_limit if time_limit is not None else math.inf
    resolve(algorithm, {"optimal": "", **dict.fromkeys(ALGORITHMS, "")}, "algorithm")
    if not any(_moves(request) for request in requests):
        answer = _nothing(network)
    elif algorithm == "optimal":
        answer = solve_optimally(
            network, requests, in_network=in_network, tol=tol, deadline=deadline, report=report, trees=trees
        )
    else:
        answer = _of_today(network, requests, algorithm)
        if optimum is not None:
            answer = replace(answer, bounds=(_bound_of(optimum),), left_out=optimum.left_out)
        else:
            best = solve_optimally(
                network, requests, in_network=in_network, tol=tol, deadline=deadline, report=report
            )
            answer = replace(answer, bounds=best.bounds, left_out=best.left_out)
    return assemble(
        network,
        requests,
        answer,
        algorithm=algorithm,
        tol=tol,
        seconds=clock.perf_counter() - begun,
    )


def _with_ends(package: Package, requests: Sequence[Request], forwards: bool | Sequence[str]) -> FlowNetwork:
    """Return the arrays of a package in which some chiplets let nothing pass; all members must be reached."""
    network = flow_network(package)
    if forwards is True:
        return network
    if isinstance(forwards, str) or not (forwards is False or isinstance(forwards, Sequence)):
        raise RoutingError(f"forwards {forwards!r}: True, False, or a list of the chiplets that forward")
    named = set() if forwards is False else {package[name].name for name in forwards}
    closed = [package.index[chiplet.name] for chiplet in package.chiplets if chiplet.name not in named]
    network = network.ending_at(np.array(closed, np.int64))
    for request in requests:
        if _moves(request):
            _check_reach(network, request)
    return network


def _check_reach(network: FlowNetwork, request: Request) -> None:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    index = network.package.index
    nodes = [index[name] for name in request.members]
    n = network.num_vertices
    graph = csr_array((np.ones(network.num_arcs), (network.tail, network.head)), shape=(n, n))
    far = dijkstra(graph, indices=network.origin[nodes], unweighted=True)[:, network.destination[nodes]]
    if request.motion == "exchange":
        needed = request.pair_bytes() > 0
    else:
        needed = np.ones(far.shape, bool)
        if request.root is not None:
            at = np.arange(len(nodes)) == request.members.index(request.root)
            needed &= at[:, None] if request.motion == "spread" else at[None, :]
    lost = np.argwhere(np.isinf(far) & needed & ~np.eye(len(nodes), dtype=bool))
    if len(lost):
        a, b = (request.members[int(i)] for i in lost[0])
        raise InfeasibleError(
            f"{request.kind}: {b!r} cannot be reached from {a!r} where only some chiplets forward; "
            "let a chiplet between them forward, or add a switch"
        )


def bounds_of(
    network: FlowNetwork, requests: Sequence[Request], tol: float = 0.01
) -> tuple[ProvedBound, ...]:
    """Return what no schedule of some requests can undercut."""
    if not any(_moves(request) for request in requests):
        return ()
    return solve_optimally(network, requests, in_network=None, tol=tol, deadline=math.inf).bounds


def _moves(request: Request) -> bool:
    if request.motion == "exchange":
        return bool(request.pair_bytes().any())
    return request.size > 0


def _of_today(network: FlowNetwork, requests: tuple[Request, ...], name: str) -> Answer:
    """Return an algorithm of today for one request, or for several in the same steps."""
    index = network.package.index
    if network.closed_chiplets:
        raise RoutingError(
            "algorithms of today let every chiplet forward; 'optimal' alone knows those that may not"
        )
    if len(requests) != 1:
        raise RoutingError(f"{name!r} serves one group at a time, not {len(requests)}; use 'optimal'")
    request = requests[0]
    steps = steps_of(network, request, name)
    nodes = np.array([index[member] for member in request.members], np.int64)
    time, use, count = steps.measure(network, nodes, request.size)
    return Answer(
        use,
        f"{count} synchronous steps over ecmp paths",
        (),
        None,
        ALGORITHMS[name].summary,
        time=time,
        steps=count,
    )


def _bound_of(optimum: CollectiveResult) -> ProvedBound:
    return ProvedBound(optimum.time_bound, optimum.bound_method, optimum.prices, optimum.cut)


def _nothing(network: FlowNetwork) -> Answer:
    use = np.zeros(network.num_resources)
    return Answer(use, "nothing to carry", (), None, NOTHING)


def assemble(
    network: FlowNetwork,
    requests: tuple[Request, ...],
    answer: Answer,
    *,
    algorithm: str,
    tol: float,
    seconds: float,
) -> CollectiveResult:
    """Return the answer of a method as a result: its time, its best bounds, its status."""
    ratio = answer.use / network.capacity
    busiest = float(ratio.max(initial=0.0))
    achieved = busiest if answer.time is None else answer.time
    none = ProvedBound(0.0, "nothing to carry", np.zeros(network.num_resources))
    for_any = [bound for bound in answer.bounds if not bound.trees_only]
    best = max([none, *for_any], key=lambda bound: bound.time)
    top = max([best, *answer.bounds], key=lambda bound: bound.time)
    trees = top.time
    proved = achieved if math.isclose(best.time, achieved, rel_tol=ALIKE) else best.time
    trees = achieved if math.isclose(trees, achieved, rel_tol=ALIKE) else trees
    gap = achieved / proved - 1 if proved > 0 else 0.0
    status: CollectiveStatus = "bounded"
    if gap <= EXACT:
        status = "exact"
    elif algorithm != "optimal":
        status = "fixed algorithm"
    elif gap <= tol * (1 + 1e-9):
        status = "certified"
    elif achieved <= trees * (1 + tol):
        status = "certified in trees"
    elif answer.limited:
        status = "time limit"
    load = _channel_load(network, answer)
    prices = _prices(network, best)
    top = top if trees > proved else best
    for array in (load, prices, answer.use):
        array.flags.writeable = False
    worst = int(np.flatnonzero(ratio >= busiest * (1 - ALIKE))[0]) if len(ratio) else 0
    return CollectiveResult(
        package=network.package,
        requests=requests,
        algorithm=algorithm,
        time=achieved,
        time_bound=proved,
        time_bound_trees=trees,
        status=status,
        method=answer.method,
        bound_method=best.method,
        theorem=answer.theorem,
        load=load,
        bottleneck=network.names[worst] if achieved > 0 else "",
        cut=best.cut,
        prices=prices,
        use=answer.use,
        schedule=answer.schedule,
        network=network,
        seconds=seconds,
        remarks=answer.notes,
        left_out=answer.left_out,
        tol=tol,
        non_forwarding=network.closed_chiplets,
        prices_trees=_prices(network, top),
        steps=answer.steps,
        computing=answer.computing,
    )


def _channel_load(network: FlowNetwork, answer: Answer) -> Floats:
    if answer.schedule is not None:
        return np.asarray(network.channel_load(answer.schedule.arc_load()))
    return np.asarray(network.channel_load(answer.use[network.own]))


def _prices(network: FlowNetwork, bound: ProvedBound) -> Floats:
    if bound.prices is not None:
        return _worth_one(network, bound.prices)
    prices = np.zeros(network.num_resources)
    if bound.cut is not None and bound.cut.capacity > 0:
        place = {name: r for r, name in enumerate(network.names)}
        for name in bound.cut.resources:
            if name in place:
                prices[place[name]] = 1 / bound.cut.capacity
    return prices


def _worth_one(network: FlowNetwork, prices: Floats) -> Floats:
    worth = float(prices @ network.capacity)
    return prices / worth if worth > 0 else np.zeros(network.num_resources)
