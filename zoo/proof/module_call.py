"""Call of any module: its tensors by name, its results as a list, and the errors that its own code raises."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from zoo.errors import UsageError
from zoo.nn.cell_code import line_of, raised_at
from zoo.nn.cell_trial import in_float64
from zoo.parity import Array

MESSAGE = 200
"""Most characters of another program's message in an error or a report."""


class Call:
    """How a module is called: the structure of its arguments, and the name of each tensor in it.

    Args:
        module: any module.
        args: example arguments of its ``forward``.

    Raises:
        UsageError: if the arguments do not fit, or have no tensor.
    """

    def __init__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        kind = type(module)
        self.place = "{}:{}".format(*line_of(kind, "forward"))
        """File and line of ``forward``."""
        self.name = kind.__name__
        try:
            bound = inspect.signature(module.forward).bind(*args)
        except TypeError as error:
            raise UsageError(
                f"{self.place}: {self.name}.forward: {error}; give one example for each argument"
            ) from error
        parameters = list(bound.signature.parameters.values())
        leaves, self._structure = pytree.tree_flatten_with_path(args)
        self._leaves = [value for _, value in leaves]
        self.names: list[str] = []
        """Name of each tensor: that of its argument, with numbers or keys where it is a part of it."""
        for path, value in leaves:
            if isinstance(value, Tensor):
                number = int(_key(path[0]))
                parameter = parameters[min(number, len(parameters) - 1)]
                variadic = parameter.kind is inspect.Parameter.VAR_POSITIONAL
                first = f"{parameter.name}_{number - len(parameters) + 1}" if variadic else parameter.name
                self.names.append("_".join([first, *map(_key, path[1:])]))
        if not self.names:
            raise UsageError(f"{self.place}: {self.name}: no argument of the example is a tensor")

    def tensors(self, args: tuple[Any, ...]) -> list[Array]:
        """Return the tensors of other arguments of the same structure, as arrays.

        Raises:
            UsageError: if the structure is another.
        """
        leaves, structure = pytree.tree_flatten(args)
        if structure != self._structure:
            raise UsageError(f"{self.place}: {self.name}: the examples differ in the structure of their arguments")
        return [value.detach().cpu().numpy() for value in leaves if isinstance(value, Tensor)]

    def outputs(self, module: nn.Module, arrays: Sequence[Array], *, widen: bool = False) -> list[Tensor]:
        """Call a module and return the tensors of its result.

        Args:
            module: the module, or a copy of it.
            arrays: the tensors.
            widen: whether to convert floating ones to float64.
        """
        given = iter(arrays)
        values = [_tensor(next(given), widen) if isinstance(value, Tensor) else value for value in self._leaves]
        with _checked_states(module):
            result = module(*pytree.tree_unflatten(values, self._structure))
        return [value for value in pytree.tree_leaves(result) if isinstance(value, Tensor)]

    def error(self, raised: BaseException | None, reason: str, remedy: str) -> UsageError:
        """Return an error in one line: the line of the user's code that raised, the reason and a remedy."""
        line = None if raised is None else raised_at(raised)
        return UsageError(f"{'{}:{}'.format(*line) if line else self.place}: {self.name} {reason}; {remedy}")


@contextmanager
def _checked_states(module: nn.Module) -> Iterator[None]:
    """Raise torch's error for states that do not fit a packed sequence, inside the block.

    nn.LSTM does not check them itself (torch 2.13), and its kernel then reads outside them: the process can end with a
    segmentation fault, and a proof tries sizes to learn which ones a module takes.
    """

    def check(layer: nn.LSTM, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        packed, states = (*args, *kwargs.values(), None)[:2]
        if isinstance(packed, PackedSequence) and states is not None:
            layer.check_forward_args(packed.data, states, packed.batch_sizes)

    layers = [layer for layer in module.modules() if isinstance(layer, nn.LSTM)]
    hooks = [layer.register_forward_pre_hook(check, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _tensor(array: Array, widen: bool) -> Tensor:
    tensor = torch.from_numpy(array.copy())  # the module may write into it
    return tensor.double() if widen and tensor.is_floating_point() else tensor


def _key(key: Any) -> str:
    return str(next(getattr(key, name) for name in ("idx", "key", "name") if hasattr(key, name)))


class _Widened(TorchFunctionMode):
    """Context in which float64 stands for float32 where code names the latter, as in ``mask.float()``."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        if id(torch.float32) in map(id, args):  # `in` alone would compare tensors
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
        kwargs = {name: torch.float64 if value is torch.float32 else value for name, value in (kwargs or {}).items()}
        return func(*args, **kwargs)


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Compute in float64 inside the block, without gradients and without fused attention."""
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())  # inference mode would pass composite operations undivided
        stack.enter_context(in_float64())
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        stack.enter_context(_Widened())
        yield


def attempt(run: Callable[[], list[Tensor]]) -> tuple[list[Array] | None, Exception | None]:
    """Run a module that may fail; return its results, or the error."""
    try:
        return [value.detach().numpy() for value in run()], None
    except Exception as error:  # raised by torch, or by the module's own code
        return None, error
