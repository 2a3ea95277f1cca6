"""Convolution and pooling that stay fast inside loops on CPU.

XLA's CPU backend has fast convolutions for one layout only (input NHWC, kernel HWIO,
output NHWC). Its pass that rewrites other layouts into that one visits a module's
entry computation and not the bodies of its loops
(xla/service/cpu/conv_canonicalization.cc), so the convolutions that autodiff makes
for the backward pass fall to a naive loop nest inside `scan`, `map` or `while`: about
a hundred times slower for the kernel's gradient. `convolve` writes its backward pass
in the fast layout from the start; `max_pool` does without XLA's slow scatter;
`fast_in_loops` puts both into any function, Flax modules included. README.md beside
this file leads through the forms and the files.
"""

from init_study.conv.forms import FORMS, convolve, default_form
from init_study.conv.lowering import fast_in_loops
from init_study.conv.pooling import max_pool, sum_pool

__all__ = [
    "FORMS",
    "convolve",
    "default_form",
    "fast_in_loops",
    "max_pool",
    "sum_pool",
]
