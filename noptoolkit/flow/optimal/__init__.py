"""The optimal routing of point-to-point traffic: the flow program, its solvers, and which takes it."""
