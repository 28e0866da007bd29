"""Untrusted bytes in processes with next to no rights, one process for each file.

`pool.Sandbox` is what others use. It starts a `zygote`, which has imported what a task needs and
forks a worker for every task; the worker gives up its rights (`confinement`, by `landlock` and
`seccomp`), runs the task, answers over a socket (`messages`) and ends.
"""
