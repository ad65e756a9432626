"""Ray as the engine of ``jobs``: on this machine, or on a cluster whose machines share the run's folder.

Ray shares out cores and GPUs and watches its workers, which stay from job to job as those of ``worker`` do.
If one dies (killed, out of memory, machine lost), no other job is touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.jobs import first_line
from pipeline.worker import Ended, run_job
from robustness.errors import UserError
from robustness.processor import available_cores

LOCAL = "local"  # Ray's word for a cluster of its own on this machine


class Cluster:
    """The engine; ``request``: the cores and GPUs that a job asks for."""

    def __init__(self, ray: Any, request: dict[str, float]) -> None:
        self._ray, self._request = ray, request
        self._task = ray.remote(**request, max_retries=0)(run_job)  # jobs.py starts it again

    def slots(self) -> int:
        """The jobs that the cluster bears now, and one that waits, so that a cluster that can grow does."""
        kind, asked = ("GPU", "num_gpus") if self._request["num_gpus"] else ("CPU", "num_cpus")
        return 1 + int(self._ray.cluster_resources().get(kind, 0) // self._request[asked])

    def submit(self, run: Path, job: str, command: str, inputs: str) -> Future[Ended]:
        return self._task.options(name=job).remote(run, job, command, inputs).future()


@contextmanager
def cluster(
    *, threads: int | None, device: str, at_once: int = 0, gpus_per_job: float | None = None
) -> Iterator[Cluster]:
    """Ray on this machine, on loopback alone, or the cluster that ``RAY_ADDRESS`` names.

    ``at_once``: jobs at once on this machine; 0: as many as cores and GPUs bear. No choice on a cluster.
    Raises UserError if Ray is missing, does not start or refuses what a job asks for (see ``what_to_ask``).
    """
    options = {"address": os.environ.get("RAY_ADDRESS", LOCAL), "log_to_driver": False}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read by Ray when it is imported
    if options["address"] == LOCAL:
        # Ray takes every loopback address for the machine's own, which its servers then listen on; without
        # clusters (its setting for systems with a firewall that asks) they listen on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        options |= {"num_cpus": at_once * (threads or 1) or max(available_cores(), threads or 1)}
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        options |= {"object_store_memory": 80 * 2**20}  # the least that Ray takes: jobs use none of it
    elif at_once:
        raise UserError(
            f"--jobs {at_once}: the cluster of RAY_ADDRESS decides how many run at once; leave it out"
        )
    try:
        import ray
    except ImportError:
        raise UserError(
            "--engine ray: Ray is not installed; .venv/bin/pip install -e '.[ray]', or leave ENGINE out"
        ) from None
    try:
        ray.init(logging_level="ERROR", **options)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        started = Cluster(ray, what_to_ask(nodes, threads, device, at_once, gpus_per_job))
    except UserError:
        ray.shutdown()
        raise
    except Exception as error:  # Ray's own are bare: out of reach, too slow a start, a request without sense
        ray.shutdown()
        raise UserError(f"Ray ({options['address']}): {first_line(error)}") from error
    try:
        yield started
    finally:
        ray.shutdown()


def what_to_ask(
    nodes: list[dict[str, float]],
    threads: int | None,
    device: str,
    at_once: int = 0,
    gpus: float | None = None,
) -> dict[str, float]:
    """The cores and GPUs of a job, given those of each machine.

    ``threads``: None stands for all of a machine, or those that go with its share of the GPUs. ``gpus``: None
    for one where there are any, or the share that lets ``at_once`` run at once. Raises UserError for what no
    machine has: Ray would wait for it without end.
    """
    with_gpu = [node for node in nodes if node.get("GPU") and device != "cpu"]
    if gpus is None:
        gpus = min(1.0, min((node["GPU"] for node in with_gpu), default=0.0) / max(1, at_once))
    shares = [node["CPU"] * gpus / node["GPU"] for node in with_gpu if gpus]
    shares = shares or [node["CPU"] / max(1, at_once) for node in nodes if "CPU" in node]
    cores = threads or max(1, int(min(shares, default=1)))
    if not any(node.get("CPU", 0) >= cores and node.get("GPU", 0) >= gpus for node in nodes):
        raise UserError(f"Ray: no machine has {cores} cores (threads) and {gpus:g} GPUs; ask for less")
    return {"num_cpus": cores, "num_gpus": gpus}
