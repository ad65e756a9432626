"""Ray as the engine of ``cells``: on this machine, or on a cluster whose machines share the run's folder.

Ray shares out cores and GPUs and watches its workers, which stay from cell to cell as those of ``cells`` do. If
one dies (killed, out of memory, machine lost), no other cell is touched.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline.cells import available_cores, first_line
from pipeline.worker import Ended, Order, run_cell_in_ray
from robustness.errors import UserError

# Ray's word for a cluster of its own on this machine.
LOCAL = "local"
# Cells hand nothing over through Ray's store: they have files. The least that Ray takes.
STORE_BYTES = 80 * 2**20
# Of Ray itself, on this machine.
STARTS = 3


@dataclass(frozen=True)
class Machines:
    """Cores and GPUs of the smallest machine that a cell may run on, and the cores of the largest."""

    cores: int
    gpus: float
    most_cores: int


@dataclass(frozen=True)
class Request:
    """What a cell asks of Ray."""

    cores: int
    gpus: float


@dataclass(frozen=True)
class Cluster:
    """The engine."""

    ray: Any
    request: Request
    lost: tuple[type[Exception], ...]

    def slots(self) -> int:
        """The cells that the cluster bears now and one that waits: no worker idles, and a cluster may grow."""
        offered = self.ray.cluster_resources()
        asked = {"CPU": self.request.cores, "GPU": self.request.gpus}
        return 1 + int(min(offered.get(kind, 0) // amount for kind, amount in asked.items() if amount))

    def submit(self, order: Order) -> Future[Ended]:
        # Once only: cells.py starts it again itself. An exception is a mistake in the code: it comes again.
        task = self.ray.remote(
            num_cpus=self.request.cores, num_gpus=self.request.gpus, max_retries=0, retry_exceptions=False
        )(run_cell_in_ray)
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
    if not sys.platform.startswith("linux"):
        raise UserError(f"--engine ray: needs Linux (found {sys.platform}); leave --engine out")
    address = os.environ.get("RAY_ADDRESS", LOCAL)
    # Read by Ray when it is imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
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
    _connect(ray, address, _local_cores(threads, jobs))
    try:
        request = what_to_ask(
            _machines(ray, device, gpus_per_cell),
            threads=threads,
            device=device,
            jobs=jobs,
            gpus_per_cell=gpus_per_cell,
        )
        yield Cluster(ray, request, (ray.exceptions.RayError,))
    finally:
        ray.shutdown()


def what_to_ask(
    machines: Machines,
    *,
    threads: int | None,
    device: str,
    jobs: int = 0,
    gpus_per_cell: float | None = None,
) -> Request:
    """The request of a cell; raises UserError for one that Ray would wait for without end."""
    if device.startswith("cuda:"):
        raise UserError(f"params.yaml: device: {device}: Ray chooses the GPU of a cell; use cuda or auto")
    gpus = gpus_per_cell
    if gpus is None:
        gpus = 0.0 if device == "cpu" else min(1.0, machines.gpus / max(1, jobs))
    if not 0 <= gpus < float("inf") or (gpus > 1 and gpus != int(gpus)):
        raise UserError(f"--gpus-per-cell {gpus:g}: use a fraction up to 1 or a whole number")
    if gpus and device == "cpu":
        raise UserError(f"--gpus-per-cell {gpus:g}: params.yaml has device: cpu; use 0 or change the device")
    if device == "cuda" and not gpus:
        raise UserError(
            "params.yaml: device: cuda: a cell gets no GPU here; use auto or machines that have one"
        )
    if gpus > machines.gpus:
        raise UserError(f"--gpus-per-cell {gpus:g}: no machine has more than {machines.gpus:g}; ask for less")
    cores = threads or _all_cores(machines, gpus, jobs)
    if cores > machines.most_cores:
        raise UserError(
            f"params.yaml: threads: {cores}: no machine has more than {machines.most_cores} cores"
        )
    return Request(cores, gpus)


def _all_cores(machines: Machines, gpus: float, jobs: int) -> int:
    """The cores of a cell that may have all: the share of a machine that goes with its part of the GPUs."""
    share = gpus / machines.gpus if gpus else 1 / max(1, jobs)
    return max(1, int(machines.cores * share))


def _local_cores(threads: int | None, jobs: int) -> int:
    """The cores that Ray shares out here: what ``jobs`` cells ask for, or those that there are."""
    cores = available_cores()
    if jobs:
        return jobs * (threads or max(1, cores // jobs))
    return max(cores, threads or 1)


def _connect(ray: Any, address: str, cores: int) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        _start_here(ray, cores, quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there ({first_line(error)})"
        ) from None


def _start_here(ray: Any, cores: int, quiet: dict[str, Any]) -> None:
    for left in reversed(range(STARTS)):
        try:
            ray.init(
                address=LOCAL,
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                _node_ip_address="127.0.0.1",
                **quiet,
            )
            return
        # Ray gives its own helpers 15 seconds (ray-project/ray#65983), too few for a busy machine, and raises
        # a bare Exception; the next start finds their files in memory.
        except Exception as error:
            ray.shutdown()
            if "timed out during startup" not in str(error):
                raise
            if not left:
                raise UserError(
                    f"Ray: did not start in {STARTS} attempts ({first_line(error)}); "
                    "wait until less runs here, or leave --engine out"
                ) from None


def _machines(ray: Any, device: str, gpus_per_cell: float | None) -> Machines:
    """The machines that cells may run on: those with GPUs where cells ask for any."""
    offered = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if not offered:
        raise UserError("Ray: no machine offers a core; start workers with ray start")
    with_gpu = [] if device == "cpu" or gpus_per_cell == 0 else [n for n in offered if n.get("GPU")]
    usable = with_gpu or offered
    return Machines(
        cores=int(min(node["CPU"] for node in usable)),
        gpus=min((node["GPU"] for node in with_gpu), default=0.0),
        most_cores=int(max(node["CPU"] for node in usable)),
    )
