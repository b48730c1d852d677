//! In which numbers products are made.

use std::fmt;

use crate::kernels::Number;

/// In which numbers the products of dense layers and convolutions are made. Sums, and all else, are of the network's own
/// type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Products {
    /// In the type of the network; in `f32`, convolutions of 3 x 3 by fewer multiplications (Winograd's) where that takes
    /// less time.
    #[default]
    Full,
    /// In the type of the network, every multiplication of the formula.
    Direct,
    /// In [bf16](crate::bf16), with sums in `f32`.
    Bf16,
}

impl Products {
    /// Whether this processor makes them for numbers of this type: in bf16, for `f32` alone.
    pub fn exist_for<T: Number>(self) -> bool {
        self != Self::Bf16 || (self.exist() && T::f32s(&[]).is_some())
    }

    /// Whether this processor makes them.
    pub fn exist(self) -> bool {
        match self {
            Self::Full | Self::Direct => true,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Bf16 => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
            }
            #[cfg(not(all(target_arch = "x86_64", not(miri))))]
            Self::Bf16 => false,
        }
    }
}

impl fmt::Display for Products {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full => "full",
            Self::Direct => "direct",
            Self::Bf16 => "bf16",
        })
    }
}
