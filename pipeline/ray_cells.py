"""Ray as the engine of ``cells``: on this machine, or on a cluster whose machines share the run's folder.

Ray shares out cores and GPUs and watches its workers, which stay from cell to cell as those of ``cells`` do.
If one dies (killed, out of memory, machine lost), no other cell is touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

from pipeline.cells import available_cores, first_line
from pipeline.worker import Ended, Order, run_cell_in_ray
from robustness.errors import UserError

LOCAL = "local"  # Ray's word for a cluster of its own on this machine
STORE_BYTES = 80 * 2**20  # cells hand nothing over through Ray's store: the least that it takes
STARTS = 3


@dataclass(frozen=True)
class Cluster:
    """The engine; ``request``: the cores and GPUs that a cell asks for."""

    ray: Any
    request: dict[str, float]
    lost: tuple[type[Exception], ...]

    def slots(self) -> int:
        """The cells that the cluster bears now, and one that waits, so that a cluster that can grow does."""
        offered = self.ray.cluster_resources()
        asked = {"CPU": self.request["num_cpus"], "GPU": self.request["num_gpus"]}
        return 1 + int(min(offered.get(kind, 0) // amount for kind, amount in asked.items() if amount))

    def submit(self, order: Order) -> Future[Ended]:
        task = self.ray.remote(**self.request, max_retries=0)(run_cell_in_ray)  # cells.py starts it again
        return task.options(name=order.cell).remote(order, os.environ.get("OMP_NUM_THREADS")).future()


@contextmanager
def cluster(
    *, threads: int | None, device: str, jobs: int = 0, gpus_per_cell: float | None = None
) -> Iterator[Cluster]:
    """Ray on this machine, on loopback alone, or the cluster that ``RAY_ADDRESS`` names.

    Args:
        threads: cores that a cell asks for; None: all of a machine, or those that go with its share of GPUs.
        device: as in params.yaml.
        jobs: cells at once on this machine; 0: as many as cores and GPUs bear. No choice on a cluster.
        gpus_per_cell: GPUs that a cell asks for, a fraction or a whole number; None: one where there are any,
            or the share that lets ``jobs`` run at once.

    Raises UserError if Ray is missing or out of reach, or if no machine can ever run a cell.
    """
    address = os.environ.get("RAY_ADDRESS", LOCAL)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read by Ray when it is imported
    if address == LOCAL:
        # Ray takes every loopback address for the machine's own, which its servers then listen on; without
        # clusters (its setting for systems with a firewall that asks) they listen on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError:
        raise UserError(
            "--engine ray: Ray is not installed; .venv/bin/pip install -e '.[ray]', or leave ENGINE out"
        ) from None
    if address != LOCAL and jobs:
        raise UserError(
            f"--jobs {jobs}: the cluster of RAY_ADDRESS decides how many run at once; leave it out"
        )
    _connect(ray, address, jobs * (threads or 1) or max(available_cores(), threads or 1))
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        request = what_to_ask(nodes, threads=threads, device=device, jobs=jobs, gpus_per_cell=gpus_per_cell)
        yield Cluster(ray, request, (ray.exceptions.RayError,))
    finally:
        ray.shutdown()


def what_to_ask(
    nodes: list[dict[str, float]],
    *,
    threads: int | None,
    device: str,
    jobs: int = 0,
    gpus_per_cell: float | None = None,
) -> dict[str, float]:
    """The cores and GPUs of a cell, given those of each machine.

    Raises UserError for a request that Ray would wait for without end.
    """
    if device.startswith("cuda:"):
        raise UserError(f"params.yaml: device: {device}: Ray chooses the GPU of a cell; use cuda or auto")
    with_gpu = [] if device == "cpu" else [node for node in nodes if node.get("GPU")]
    gpus = gpus_per_cell
    if gpus is None:
        gpus = min(1.0, min((node["GPU"] for node in with_gpu), default=0.0) / max(1, jobs))
    if not 0 <= gpus < inf or (gpus > 1 and gpus != int(gpus)):
        raise UserError(f"--gpus-per-cell {gpus:g}: use a fraction up to 1 or a whole number")
    if (device == "cpu" and gpus) or (device == "cuda" and not gpus):
        raise UserError(f"params.yaml: device: {device}: does not go with {gpus:g} GPUs a cell; use auto")
    shares = [node["CPU"] * gpus / node["GPU"] for node in with_gpu] if gpus else []
    shares = shares or [node["CPU"] / max(1, jobs) for node in nodes]
    cores = threads or max(1, int(min(shares, default=1)))
    if not any(node["CPU"] >= cores and node.get("GPU", 0) >= gpus for node in nodes):
        raise UserError(f"Ray: no machine has {cores} cores (threads) and {gpus:g} GPUs; ask for less")
    return {"num_cpus": cores, "num_gpus": gpus}


def _connect(ray: Any, address: str, cores: int) -> None:
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        options |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": STORE_BYTES}
        options["_node_ip_address"] = "127.0.0.1"
    for left in reversed(range(STARTS)):
        try:
            ray.init(**options)
            return
        # Ray gives its own helpers 15 seconds (ray-project/ray#65983), too few for a busy machine, and raises
        # a bare Exception; the next start finds their files in memory.
        except Exception as error:
            ray.shutdown()
            if left and "timed out during startup" in str(error):
                continue
            if address == LOCAL and "timed out during startup" not in str(error):
                raise
            raise UserError(f"Ray ({address}): does not start or answer ({first_line(error)})") from None
