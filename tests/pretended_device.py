"""A device that is not there: tensors that claim to be elsewhere, hold their values here, and refuse to meet others.

What fails on a GPU and works on a CPU fails here too: tensors of two devices in one operation, a generator of the CPU
for numbers of the device, `numpy` without `cpu`. Operations on the device are counted as its launches, and copies to
the CPU, each of which waits for the device, as its waits.

torch names the device "meta". Only that one can be claimed without a driver by tensors that autograd follows.
"""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from dcpriv_lib.engine import devices

DEVICE = torch.device("meta")
aten = torch.ops.aten
MOVES = aten._to_copy.default, aten.copy_.default
# The index may lie on the CPU, and is copied then.
INDEXED = aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default
NO_LAUNCH = aten._unsafe_view.default, aten.empty.memory_format, aten.new_empty.default, aten.empty_like.default


class MixedDevices(RuntimeError):
    """Tensors of two devices met."""


class There(torch.Tensor):
    """A tensor that claims to be on `DEVICE`; `held` has its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        there = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        there.held = held
        return there

    def __repr__(self):
        return f"There({self.held!r})"

    def __format__(self, spec):
        """Return the text of a single number; the device is waited for."""
        return format(self.item(), spec) if self.dim() == 0 else repr(self)

    def tolist(self):
        """Return the values; the device is waited for."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        return dispatch(op, args, kwargs or {}, Counter())


@functools.cache
def _only_names(op) -> bool:
    """Return whether an operation only names memory, new or the same in another shape: nothing is launched for it."""
    aliases = [one.alias_info for one in op._schema.returns]
    return any(alias is not None and not alias.is_write for alias in aliases) or op in NO_LAUNCH


def _tensors(arguments: Iterable) -> Iterator[torch.Tensor]:
    """Yield the tensors among arguments of an operation; torch's own trees take longer than most operations."""
    for one in arguments:
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from _tensors(one)


def _changed(change: Callable, kind: type, argument):
    """Return an argument, or a result, with each tensor of a kind changed."""
    if isinstance(argument, kind):
        return change(argument)
    return (
        type(argument)(_changed(change, kind, one) for one in argument) if type(argument) in (list, tuple) else argument
    )


def dispatch(op, args: tuple, kwargs: dict, counts: Counter):
    """Do one operation on the values, or raise what the device would."""
    asked = kwargs.get("device")
    tensors = list(_tensors((*args, *kwargs.values())))
    there = [one for one in tensors if isinstance(one, There)]
    here = [one for one in tensors if not isinstance(one, There)]
    if lost := [one for one in here if one.device == DEVICE]:
        raise AssertionError(f"{op}: a tensor of {DEVICE} of shape {tuple(lost[0].shape)} was made past the pretence")
    on_device = torch.device(asked).type == DEVICE.type if asked is not None else bool(there)
    # a tensor of the device may be indexed by one of the CPU, and not the other way round
    may_differ = args[1] if op in INDEXED and isinstance(args[0], There) else ()
    met = [one for one in here if one.dim() and not any(one is other for other in may_differ)]
    if there and met and op not in MOVES:
        raise MixedDevices(f"{op}: expected all tensors to be on the same device, found {DEVICE} and cpu")
    if on_device and isinstance(kwargs.get("generator"), torch.Generator):
        raise MixedDevices(f"{op}: expected a generator of {DEVICE}, found one of the cpu")
    if op is aten._local_scalar_dense.default or (there and op in MOVES and not on_device):
        counts["waits"] += bool(there)
    if (there or on_device) and not _only_names(op):
        counts["launches"] += 1
    to_there = on_device if op is not aten.copy_.default else isinstance(args[0], There)
    if there:
        args = _changed(lambda one: one.held, There, args)
        kwargs = {name: _changed(lambda one: one.held, There, one) for name, one in kwargs.items()}
    if on_device and asked is not None:
        kwargs = kwargs | {"device": "cpu"}
    found = op(*args, **kwargs)
    return _changed(There, torch.Tensor, found) if to_there else found


class Device(TorchDispatchMode):
    """While it is entered, tensors that are sent to `DEVICE`, or made there, claim to be there.

    Attributes
    ----------
    counts : "launches", operations on the device; "waits", values that the CPU waited for.
    """

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        return dispatch(op, args, kwargs or {}, self.counts)


class _Made(TorchFunctionMode):
    """Values of Python become tensors here, and are then sent to the device: torch itself would lose them there.

    It would also exchange what a tensor claims to be without what it holds, where its ``data`` are set.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return function(*args, **kwargs).to(device)
        if function == torch.Tensor.data.__set__ and isinstance(args[0], There):
            args[0].held = args[1].held
        return function(*args, **kwargs)


@contextlib.contextmanager
def entered():
    """Enter `Device`, and let `Module.to` replace parameters, which it does not where tensors change their class.

    What `devices.use` sets is afterwards as it was.
    """
    precisions = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    before = [one.fp32_precision for one in precisions], torch.are_deterministic_algorithms_enabled(), devices._used
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with Device() as device, _Made():
            yield device
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrites)
        for one, precision in zip(precisions, before[0]):
            one.fp32_precision = precision
        torch.use_deterministic_algorithms(before[1])
        devices._used = before[2]
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
