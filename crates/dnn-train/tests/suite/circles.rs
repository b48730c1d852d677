//! The points that the example `circles` makes are those of the course.

use crate::circle_data::circles;
use crate::support::{assert_close, labels, matrix};
use serde_json::Value;

#[test]
fn circles_are_those_of_the_course() {
    let data: Value = serde_json::from_str(include_str!("../golden/datasets_2d.json"))
        .expect("the golden file is JSON");
    for (name, seed, m) in
        [("make_circles_train300_seed1", 1, 300), ("make_circles_test100_seed2", 2, 100)]
    {
        let (points, found) = circles(seed, m);
        assert_close(&points, &matrix(&data[name]["X"]), 1e-12, name);
        assert_eq!(found, labels(&data[name]["Y"]), "{name}");
        assert_eq!(found.len(), m, "{name}");
    }
}
