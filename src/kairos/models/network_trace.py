"""Tracing a network of PyTorch: from a module, with all of its classes, to a list of operations and to ONNX."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch.export.graph_signature import InputKind, OutputKind

from kairos.errors import PackageError
from kairos.models.arrays import FREE, is_free
from kairos.models.compiling.refusals import NotCompiled
from kairos.models.foreign import Untried, first_line
from kairos.models.network import DTYPE_NAMES, INPUT, KINDS, ON_SIZES, NetworkModel, function_of, unfit
from kairos.models.network_file import Named, NetworkFile, Operation, Ref, Weight, write_network
from kairos.models.outputs import width_of
from kairos.models.quiet import quietly

if TYPE_CHECKING:
    from kairos.models.training import TrainingData  # it loads scikit-learn

__all__ = ["UntracedNetwork", "to_onnx"]

_EXAMPLE_ROWS = 3
"""PyTorch takes one row, or none, for a special case; three stand for any number."""


class UntracedNetwork(Untried):
    """What a step returned."""

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module

    def bound(self, data: TrainingData, *, step: str) -> tuple[NetworkModel, TrainingData]:
        """Traces the network for so many columns; the module itself is not changed.

        Raises:
            PackageError: columns are text, or the network cannot be traced.
        """
        texts = [name for name, column in data.columns.items() if column.kind in ("category", "text")]
        if texts:
            raise PackageError(
                f"The network of step {step!r} takes numbers only.",
                given=f"text in {', '.join(texts)}",
                accepted="columns of numbers and booleans, as one matrix in the order of the table",
                hint=f"Encode text in an earlier step, or leave it out: @model(..., drop={texts!r}).",
            )
        free = [name for name, column in data.columns.items() if is_free(column.shape)]
        if free and len(data.columns) > 1:
            raise PackageError(
                f"The network of step {step!r} takes arrays that differ in length only by themselves.",
                given=f"{', '.join(free)} beside {len(data.columns) - len(free)} other columns",
                accepted="one column of such arrays, or columns of numbers and of arrays of one shape",
                hint="Put the other columns into the array in an earlier step, as channels of each of its places.",
            )
        shapes = [column.shape for column in data.columns.values()]
        width = 0 if free else sum(math.prod(shape) for shape in shapes)
        try:
            with quietly("torch.onnx"):
                if free:
                    (column,) = data.columns.values()
                    program = _traced_free(self._module, column.shape, column.values)
                else:
                    program = _traced(self._module, width, shapes[0] if len(shapes) == 1 else ())
            written = write_network(_file_of(program, width, shapes[0] if free else ()))
            model = NetworkModel(written, program, numbers=width_of(data.outputs))
        except PackageError:
            raise
        except Exception as error:  # the tracer has a class of its own for each cause
            if free:
                raise PackageError(
                    f"The network of step {step!r} cannot be packaged: it cannot be traced for any length.",
                    given=f"{type(error).__name__}: {first_line(error)}",
                    accepted="a torch.nn.Module that takes one float tensor of shape (rows, *shape) and does the same "
                    "whatever the length, as embeddings, convolutions and attention do; LSTM and GRU are unrolled",
                    hint="Or return an object with predict that holds it, which needs allow_pickle.",
                ) from error
            raise PackageError(
                f"The network of step {step!r} cannot be packaged: it cannot be traced.",
                given=f"{type(error).__name__}: {first_line(error)}",
                accepted="a torch.nn.Module that takes one float tensor of shape (rows, columns), or (rows, *shape) of "
                "a single column of arrays, gives one of shape (rows,) or (rows, 1), or of several outputs (rows, "
                "numbers), and does not branch on values",
            ) from error
        return model, data


class _Whole(torch.nn.Module):  # type: ignore[misc]  # PyTorch is not there where types are checked
    """A network from the doubles of a request to its answers."""

    def __init__(self, network: torch.nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.network = copy.deepcopy(network).cpu().eval()
        held = [*self.network.parameters(), *self.network.buffers()]
        self.dtype = next((tensor.dtype for tensor in held if tensor.is_floating_point()), torch.float32)

    def forward(self, matrix: torch.Tensor) -> torch.Tensor:
        """One number a row, or several."""
        inputs = matrix.to(self.dtype)
        if self.shape:
            inputs = inputs.reshape(-1, *self.shape)
        answer: torch.Tensor = self.network(inputs)
        return answer.to(torch.float64)


def _traced(module: torch.nn.Module, width: int, shape: tuple[int, ...]) -> Any:
    example = torch.zeros(_EXAMPLE_ROWS, width, dtype=torch.float64)
    rows = torch.export.Dim("rows", min=1)
    program = torch.export.export(_Whole(module, shape), (example,), dynamic_shapes=({0: rows},), strict=False)
    return program.run_decompositions()


def _traced_free(module: torch.nn.Module, shape: tuple[int, ...], cells: Any) -> Any:
    """Traced for rows of any one shape: each length is a number that the tracer must not take for another one."""
    lengths: list[int] = []
    for axis, length in enumerate(shape):
        example = length if length != FREE else max(2, *(cell.shape[axis] for cell in cells))
        while length == FREE and example in lengths and example > 2:
            example -= 1
        lengths.append(example)
    rows = next(count for count in range(_EXAMPLE_ROWS, _EXAMPLE_ROWS + len(shape) + 1) if count not in lengths)
    free = {axis: torch.export.Dim.DYNAMIC for axis, length in enumerate(shape, 1) if length == FREE}
    dynamic = {0: torch.export.Dim.DYNAMIC, **free}
    example = torch.zeros(rows, *lengths, dtype=torch.float64)
    program = torch.export.export(_Whole(module, ()), (example,), dynamic_shapes=(dynamic,), strict=False)
    return program.run_decompositions()


def to_onnx(program: Any) -> bytes:
    """The ONNX file of a traced network, by PyTorch's own exporter.

    Raises:
        NotCompiled: the exporter is not there.
    """
    if find_spec("onnxscript") is None:
        raise NotCompiled("What PyTorch writes ONNX with is not installed: pip install 'kairos-ml[torch]'.")
    with quietly("torch.onnx"):
        written = torch.onnx.export(
            program,
            program.example_inputs[0],
            input_names=["X"],
            output_names=["answer"],
            opset_version=21,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    from kairos.models.compiling.cleaned import cleaned  # it loads onnx

    return cleaned(written.model_proto)


def _file_of(program: Any, width: int, shape: tuple[int, ...]) -> NetworkFile:
    described = program.graph_signature
    if any(spec.kind is not OutputKind.USER_OUTPUT for spec in described.output_specs):
        raise unfit("it changes its own buffers while it predicts")
    held = {**program.state_dict, **program.constants}
    nodes = list(program.graph.nodes)
    names = {node: f"%{node.name}" for node in nodes}
    weights = {}
    for node, spec in zip([node for node in nodes if node.op == "placeholder"], described.input_specs, strict=True):
        if spec.kind is InputKind.USER_INPUT:
            names[node] = INPUT
        elif node.users:
            names[node] = spec.target.removeprefix("network.")
            weights[names[node]] = _weight(held[spec.target])
    # What nothing uses is left out: assertions about types, which hold by construction.
    steps = [node for node in nodes if node.op == "call_function" and node.users]
    operations = [
        Operation(
            result=names[node],
            function=_name_of(node.target),
            args=tuple(_argument(arg, names) for arg in node.args),
            options={key: _argument(value, names) for key, value in node.kwargs.items()},
        )
        for node in steps
    ]
    (answer,) = nodes[-1].args[0]
    return NetworkFile(width=width, operations=tuple(operations), answer=names[answer], weights=weights, shape=shape)


def _weight(tensor: torch.Tensor) -> Weight:
    if tensor.dtype not in DTYPE_NAMES:
        raise unfit(f"weights of {tensor.dtype}")
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else torch.empty(0).byte()
    return Weight(dtype=DTYPE_NAMES[tensor.dtype], shape=tuple(tensor.shape), data=flat.numpy())


def _name_of(function: Any) -> str:
    name = function.__name__ if function in ON_SIZES.values() else str(function)
    function_of(name)
    return name


def _argument(value: Any, names: Mapping[Any, str]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_argument(item, names) for item in value]
    for kind, of in KINDS.items():
        if isinstance(value, of):
            return Named(kind, str(value).removeprefix("torch."))
    if value in names:
        return Ref(names[value])
    raise unfit(f"an argument of type {type(value).__name__}")
