"""Train on all machines of a Ray cluster: train_on_ray.py mel2mel --data FOLDER --run FOLDER ...

Ray starts torchrun on each of them, and torchrun one process for each GPU, or one where there is
none. The folders must be the same on all; the machine where this is run belongs to the cluster.
"""

import socket
import subprocess
import sys

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("", 0))
        return tried.getsockname()[1]


def torchrun(rank: int, nodes: int, each: int, address: str, port: int, flags: list[str]) -> int:
    command = [sys.executable, "-m", "torch.distributed.run"]
    command += [f"--nnodes={nodes}", f"--node-rank={rank}", f"--nproc-per-node={each}"]
    command += [f"--master-addr={address}", f"--master-port={port}"]
    return subprocess.run([*command, "-m", "--", "trainer", *flags]).returncode


if len(sys.argv) < 2:
    raise SystemExit(__doc__)
ray.init("auto")
nodes = [node for node in ray.nodes() if node["Alive"]]
gpus = min(int(node["Resources"].get("GPU", 0)) for node in nodes)
there = [
    {"scheduling_strategy": NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)}
    for node in nodes
]
first = nodes[0]["NodeManagerAddress"]
port = ray.get(ray.remote(free_port).options(**there[0]).remote())
started = [
    ray.remote(torchrun)
    .options(num_gpus=gpus, max_retries=0, **at)
    .remote(rank, len(nodes), max(gpus, 1), first, port, sys.argv[1:])
    for rank, at in enumerate(there)
]
raise SystemExit(max(ray.get(started)))
