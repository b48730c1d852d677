//! For the unit tests of this and other crates: the check that a list of variants leaves none out.

/// Panics unless `$all` has an item of each of these patterns. As they are the arms of one `match`, a variant
/// that is new does not compile before it is named here, and fails before it is in the list.
#[doc(hidden)]
#[macro_export]
macro_rules! assert_lists_every_variant {
    ($all:expr, $($pattern:pat),+ $(,)?) => {{
        let mut missing = vec![$(stringify!($pattern)),+];
        for item in $all {
            let found = match item {
                $($pattern => stringify!($pattern),)+
            };
            missing.retain(|pattern| *pattern != found);
        }
        assert!(missing.is_empty(), "not in the list: {}", missing.join(", "));
    }};
}
