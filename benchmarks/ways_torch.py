"""The ways to train the members with PyTorch, each in the form that suits it best.

A way takes a number of steps and returns the member-steps it did, after all of them
are done. CUDA is used where PyTorch has it.
"""

import copy
from collections.abc import Callable
from itertools import cycle, islice

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from benchmarks.cases import Case, learning_rates, peer_batches
from benchmarks.torch_models import twin

Way = Callable[[int], float]

MOMENTUM = 0.9
LAYOUTS = {
    "nchw": torch.contiguous_format,
    "channels_last": torch.channels_last,
}


def prepare_torch(threads: int) -> None:
    """Threads of this process, and on CUDA what JAX does too: TF32, tuned kernels."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def torch_loop(case: Case, members: int, layout: str, *, compiled: bool = False) -> Way:
    """One member after the other, eager, or loss and gradients by `torch.compile`.

    All members train in one net, so that it is compiled once.
    """
    batches = device_batches(case, layout)
    format_ = LAYOUTS[layout]
    nets = [_to_device(twin(case)).to(memory_format=format_) for _ in range(members)]
    starts = [copy.deepcopy(net.state_dict()) for net in nets]
    rates, net = learning_rates(members).tolist(), nets[0]

    def loss_of(images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(net(images), labels)

    loss: Callable[[Tensor, Tensor], Tensor] = loss_of
    if compiled:
        loss = torch.compile(loss_of, dynamic=False)

    def way(steps: int) -> float:
        for start, rate in zip(starts, rates, strict=True):
            net.load_state_dict(start)
            optimizer = make_optimizer(net, rate)
            for images, labels in islice(cycle(batches), steps):
                update(optimizer, loss(images, labels))
        _wait()
        return members * steps

    return way


def torch_graphs(case: Case, members: int, streams: int) -> Way:
    """Members replayed as CUDA graphs, so many of them at once, each on a stream.

    A graph is a member's steps on all batches, one after the other, channels last: a
    replay has no Python in it and copies no batch. Steps come in whole replays.

    Raises: RuntimeError where there is no CUDA.
    """
    if not torch.cuda.is_available():
        raise RuntimeError("CUDA graphs need CUDA, which PyTorch does not find here")
    batches = device_batches(case, "channels_last")
    format_ = LAYOUTS["channels_last"]
    nets = [_to_device(twin(case)).to(memory_format=format_) for _ in range(members)]
    values = [value for net in nets for value in _floats(net)]
    starts = [value.clone() for value in values]
    lanes = [torch.cuda.Stream() for _ in range(min(streams, members))]
    pools = [torch.cuda.graph_pool_handle() for _ in lanes]
    graphs, momenta = [], []
    for place, (net, rate) in enumerate(
        zip(nets, learning_rates(members).tolist(), strict=True)
    ):
        lane = place % len(lanes)
        optimizer = make_optimizer(net, rate)
        graphs.append(_capture(net, optimizer, batches, lanes[lane], pools[lane]))
        momenta += [s["momentum_buffer"] for s in optimizer.state.values()]

    @torch.no_grad()
    def way(steps: int) -> float:
        replays = -(-steps // len(batches))
        torch._foreach_copy_(values, starts)
        torch._foreach_zero_(momenta)
        for lane in lanes:
            lane.wait_stream(torch.cuda.current_stream())
        for first in range(0, members, len(lanes)):
            beside = list(zip(lanes, graphs[first : first + len(lanes)], strict=False))
            for _ in range(replays):
                for lane, graph in beside:
                    with torch.cuda.stream(lane):
                        graph.replay()
        _wait()
        return members * replays * len(batches)

    return way


def _floats(net: nn.Module) -> list[Tensor]:
    """List parameters and averages, not the counts of batches, as they lie there."""
    found = [*net.parameters(), *net.buffers()]
    return [value.detach() for value in found if value.is_floating_point()]


def _capture(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: list[tuple[Tensor, Tensor]],
    stream: torch.cuda.Stream,
    pool: tuple[int, int],
) -> torch.cuda.CUDAGraph:
    """Capture a step on every batch, after steps that tune kernels and make momenta."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for images, labels in batches[:3]:
            train_step(net, optimizer, images, labels)
        optimizer.zero_grad(set_to_none=True)
    _wait()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, stream=stream):
        for images, labels in batches:
            train_step(net, optimizer, images, labels)
    return graph


def make_optimizer(net: nn.Module, rate: float) -> torch.optim.Optimizer:
    """SGD in one fused call for all parameters."""
    return torch.optim.SGD(net.parameters(), rate, momentum=MOMENTUM, fused=True)


def train_step(
    net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> Tensor:
    """One step; the loss before it."""
    return update(optimizer, functional.cross_entropy(net(images), labels))


def update(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    """Take a step down a loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def torch_func_vmap(case: Case, members: int) -> Way:
    """All members side by side by `torch.func`, the loop over steps outside.

    BatchNorm takes the batch's statistics and keeps none: `vmap` cannot write them.
    """
    batches = device_batches(case, "nchw")
    nets = [_to_device(_without_averages(twin(case))) for _ in range(members)]
    start, buffers = stack_module_state(nets)
    start = {name: leaf.detach() for name, leaf in start.items()}
    skeleton = nets[0]
    rates = torch.tensor(learning_rates(members), device=_device())

    def loss_of(
        params: dict[str, Tensor],
        kept: dict[str, Tensor],
        images: Tensor,
        labels: Tensor,
    ) -> Tensor:
        logits = functional_call(skeleton, (params, kept), (images,))
        return functional.cross_entropy(logits, labels)

    gradients_of = vmap(grad(loss_of), in_dims=(0, 0, None, None))

    @torch.no_grad()
    def way(steps: int) -> float:
        params = {name: leaf.clone() for name, leaf in start.items()}
        leaves = list(params.values())
        traces = [torch.zeros_like(leaf) for leaf in leaves]
        scales = [-rates.view(-1, *[1] * (leaf.ndim - 1)) for leaf in leaves]
        for images, labels in islice(cycle(batches), steps):
            found = gradients_of(params, buffers, images, labels)
            torch._foreach_mul_(traces, MOMENTUM)
            torch._foreach_add_(traces, [found[name] for name in params])
            torch._foreach_add_(leaves, torch._foreach_mul(traces, scales))
        _wait()
        return members * steps

    return way


def _without_averages(net: nn.Module) -> nn.Module:
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.track_running_stats = False
            layer.running_mean = layer.running_var = layer.num_batches_tracked = None
    return net


def device_batches(case: Case, layout: str) -> list[tuple[Tensor, Tensor]]:
    """Images `[n, c, h, w]` in a memory layout, and int64 labels."""
    pairs = zip(*peer_batches(case), strict=True)
    return [
        (
            torch.tensor(images.transpose(0, 3, 1, 2))
            .to(_device())
            .contiguous(memory_format=LAYOUTS[layout]),
            torch.tensor(labels, dtype=torch.int64, device=_device()),
        )
        for images, labels in pairs
    ]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _to_device(net: nn.Module) -> nn.Module:
    return net.to(_device()).train()


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
