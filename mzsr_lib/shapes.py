"""Names for tensor shapes, so that a signature says what goes in and what comes out.

The tests check every annotated call (jaxtyping with beartype). A machine that only trains needs
neither package: there the names fall back to the plain tensor type.
"""

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
else:
    try:
        from jaxtyping import Float, UInt8
    except ImportError:

        class _Unchecked:
            def __class_getitem__(cls, item):
                return item[0]

        Float = UInt8 = _Unchecked

Images = Float[Tensor, "b 3 h w"]
Planes = Float[Tensor, "b c h w"]
Luma = Float[Tensor, "b 1 h w"]
# A second size in the same signature; "_" is compared with nothing.
OtherImages = Float[Tensor, "b 3 _ _"]
OtherPlanes = Float[Tensor, "b c _ _"]
AnyPlanes = Float[Tensor, "b _ _ _"]
OtherLuma = Float[Tensor, "b 1 _ _"]
Kernel = Float[Tensor, "k k"]
Kernels = Float[Tensor, "*batch k k"]
Covariances = Float[Tensor, "*batch 2 2"]
Eigenvalues = Float[Tensor, "*batch"]
Scalar = Float[Tensor, ""]
Bytes = UInt8[Tensor, "3 n"]

__all__ = [
    "AnyPlanes",
    "Bytes",
    "Covariances",
    "Eigenvalues",
    "Float",
    "Images",
    "Kernel",
    "Kernels",
    "Luma",
    "OtherImages",
    "OtherLuma",
    "OtherPlanes",
    "Planes",
    "Scalar",
    "Tensor",
    "UInt8",
]
