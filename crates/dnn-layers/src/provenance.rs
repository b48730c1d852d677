//! Where a network came from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where a network came from: enough to train it again.
///
/// Equal runs give equal provenance, so it holds no clock, no path and no thread count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program and its version.
    pub software: String,
    /// The kernels that computed it; the same bits are promised on the same path.
    pub kernel_path: String,
    /// SHA-256 of the data set, in hexadecimal.
    pub data_sha256: String,
    /// The seed of all random streams.
    pub seed: u64,
    /// Every other setting, by name.
    pub settings: BTreeMap<String, String>,
}
