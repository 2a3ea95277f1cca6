"""Which process of a cluster this is: as it is told, or as the cluster says."""

from typing import NamedTuple

from init_study.errors import UserError

# Seconds that a cluster's own service has to answer.
_PATIENCE = 60


class Place(NamedTuple):
    """One process of several that share a run.

    Attributes:
        process: from 0.
        processes: how many there are.
        host, port: where process 0 listens.
        accelerator: the one of its host that is this process's own; None for all.

    Example:
        >>> Place(1, 4, "node7", 61000).coordinator
        'node7:61000'
    """

    process: int
    processes: int
    host: str
    port: int
    accelerator: int | None = None

    @property
    def coordinator(self) -> str:
        """Write where process 0 listens, as flags take it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def find_place(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
) -> Place:
    """Find out which process this is; what is not given is what the cluster says.

    JAX knows Slurm, TPU pods, Open MPI, and Kubernetes where its Python package is
    installed.

    Args:
        coordinator: where process 0 listens, HOST:PORT.
        processes: how many there are.
        process: which one this is, from 0.

    Raises: UserError if something is missing or cannot be.

    Example:
        >>> find_place("node7:61000", processes=4, process=1)
        Place(process=1, processes=4, host='node7', port=61000, accelerator=None)
    """
    accelerator = None
    if coordinator is None or processes is None or process is None:
        coordinator, processes, process, accelerator = _from_cluster(
            coordinator, processes, process
        )
    if not 0 <= process < processes:
        raise UserError(
            f"--process={process} is none of --processes={processes}; they are "
            f"counted from 0 to {max(processes - 1, 0)}"
        )
    host, _, port = coordinator.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or not (port.isascii() and port.isdecimal() and 0 < int(port) < 2**16):
        raise UserError(
            f"--coordinator={coordinator} is no HOST:PORT; name the host of process 0 "
            "and a free port of it, as --coordinator=node7:61000"
        )
    return Place(process, processes, bare, int(port), accelerator)


def _from_cluster(
    coordinator: str | None, processes: int | None, process: int | None
) -> tuple[str, int, int, int | None]:
    """Ask JAX what the cluster says, as `jax.distributed.initialize` would.

    That function does more than find out, and nothing else of JAX does this in public.
    """
    from jax._src.clusters import ClusterEnv

    try:
        found = ClusterEnv.auto_detect_unset_distributed_params(
            coordinator, processes, process, None, None, _PATIENCE
        )
    # Whatever a cluster's environment makes of it: an int that is none, a service that
    # does not answer.
    except Exception as error:
        raise UserError(
            f"the cluster does not say which process this is ({error}); say it: "
            "--coordinator=HOST:PORT --processes=N --process=I"
        ) from error
    where, count, place, accelerators = found
    if where is None or count is None or place is None:
        names = ("--coordinator=HOST:PORT", "--processes=N", "--process=I")
        missing = [n for n, v in zip(names, found, strict=False) if v is None]
        raise UserError(
            "--distributed finds no cluster that JAX knows (Slurm, a TPU pod, Open "
            f"MPI, Kubernetes); say {' '.join(missing)}"
        )
    return where, int(count), int(place), accelerators[0] if accelerators else None
