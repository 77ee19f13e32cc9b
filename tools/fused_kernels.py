"""What a function costs once ``torch.compile`` has fused it: its kernels and the bytes that these move.

A kernel is what the scheduler fuses; on the CPU several may lie in one function. They are written for the CPU but not
compiled unless their values are asked for, so that counting needs no compiler. Bytes are those of
``torch._inductor.metrics``: of every buffer of a kernel as much as it can ask for, at most once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from unittest import mock

import torch


class Fused(NamedTuple):
    """Kernels and bytes of compiled code; ``result`` is None where it did not run."""

    kernels: int
    bytes: int
    result: Any


class _Counted(Exception):
    """What a kernel raises that was not compiled."""


def fused(function: Callable[..., Any], *arguments: Any, runs: bool = False) -> Fused:
    """What a function costs when it is compiled for sizes that may change.

    Args:
        function: of tensors on the CPU. arguments: its arguments. runs: as of ``counting``.
    """
    result = None
    with counting(runs) as cost:
        result = torch.compile(function, dynamic=True)(*arguments)
    return cost()._replace(result=result)


@contextmanager
def counting(runs: bool) -> Iterator[Callable[[], Fused]]:
    """Context: what is compiled in it is counted; gives what tells what it was.

    Args:
        runs: whether the kernels are compiled (a C++ compiler is needed) and run. Otherwise the block ends where the
            first of them would run.
    """
    import torch._dynamo
    from torch._inductor import metrics
    from torch._inductor.async_compile import AsyncCompile
    from torch._inductor.graph import GraphLowering
    from torch._inductor.scheduler import NopKernelSchedulerNode

    found, written = [], GraphLowering.compile_to_module

    def write(graph: Any) -> Any:
        module = written(graph)
        found.extend(n for n in graph.scheduler.nodes if not isinstance(n, NopKernelSchedulerNode))
        return module

    def stub(self: Any, kinds: Any, source: str) -> Any:
        return _not_compiled

    torch._dynamo.reset()
    metrics.reset()
    with (
        _settings(runs),
        mock.patch.object(GraphLowering, "compile_to_module", write),
        mock.patch.object(AsyncCompile, "cpp_pybinding", AsyncCompile.cpp_pybinding if runs else stub),
        suppress(_Counted),
    ):
        yield lambda: Fused(len(found), metrics.num_bytes_accessed, None)
    torch._dynamo.reset()


def _not_compiled(*arguments: Any) -> None:
    raise _Counted


@contextmanager
def _settings(runs: bool) -> Iterator[None]:
    from torch._inductor import compile_fx, config, cpu_vec_isa

    log = compile_fx.inductor_metrics_log  # bytes are counted where somebody listens
    was, log.propagate = (log.level, log.propagate), False
    log.setLevel(logging.INFO)
    ways = {"force_disable_caches": True, "compile_threads": 1}
    picked = cpu_vec_isa.pick_vec_isa if runs else lambda: cpu_vec_isa.invalid_vec_isa  # the former asks a compiler
    try:
        with config.patch(ways), mock.patch.object(cpu_vec_isa, "pick_vec_isa", picked):
            yield
    finally:
        log.setLevel(was[0])
        log.propagate = was[1]
