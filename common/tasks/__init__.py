"""Many tasks that know nothing of each other: in this process, or on a Ray cluster.

A worker is made once in each process and then called with task after task, so what is costly to
load is loaded once. A task that cannot be done tells why; the others go on. Tasks are taken as they
are needed, so however many there are, memory is that of those under way.
"""
