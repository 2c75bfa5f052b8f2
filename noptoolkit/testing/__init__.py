"""How noptoolkit is attacked, for those who build on it: fuzzing of readers, strategies for hypothesis.

* `noptoolkit.testing.fuzz`: mutants of files for every reader, ``python -m noptoolkit.testing.fuzz all``;
* `noptoolkit.testing.differential`: rooms against oracles, ``python -m noptoolkit.testing.differential all``;
* `noptoolkit.testing.problems`: random packages, traffics and messages from a seed;
* `noptoolkit.testing.strategies`: packages, traffics, workloads and plans for hypothesis.

Nothing here is imported by the rest of noptoolkit.
"""
