//! Products with a left side of which exact zeros are left out, and the lists that these go by.

pub(crate) mod list;
pub(crate) mod multiply;
