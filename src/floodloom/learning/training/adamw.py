"""AdamW, by PyTorch's own code but without its compiler."""

from __future__ import annotations

from inspect import unwrap

import torch

_Compilable = torch.optim.AdamW


class AdamW(_Compilable):
    """AdamW that isn't to be compiled; its steps are those of `torch.optim.AdamW`, bit for bit.

    That one keeps the compiler, `torch._dynamo`, away from it, and has to import it for that:
    a thousand modules, which take as long as all of PyTorch does, in every process that trains.
    """

    add_param_group = unwrap(_Compilable.add_param_group)
    load_state_dict = unwrap(_Compilable.load_state_dict)
    state_dict = unwrap(_Compilable.state_dict)
    zero_grad = unwrap(_Compilable.zero_grad)
    step = torch.no_grad()(unwrap(_Compilable.step))
