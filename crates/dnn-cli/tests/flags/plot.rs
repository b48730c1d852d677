//! `dnn train --plot`: what is drawn, and over what it is drawn.

use std::fs;

use crate::made::{class, fails, succeeds};

#[test]
fn curves_follow_a_run_and_go_on_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    class(&here.join("data/day"), [9, 7], true, 10);
    class(&here.join("data/night"), [9, 7], false, 10);
    let train = ["train", "data", "--size=6x5", "--hidden=4", "--epochs=3", "--plot=curves.svg"];
    succeeds(here, &[&train[..], &["--out=run"]].concat());
    let drawn = || fs::read_to_string(here.join("curves.svg")).unwrap();
    // Two panels, of the training and the validation part, with a point for each epoch.
    assert_eq!(drawn().matches("<circle").count(), 2 * 2 * 3, "{}", drawn());
    assert!(drawn().contains(">accuracy, %<") && drawn().contains(">epoch<"), "{}", drawn());
    let taken = "curves.svg is there already and is not replaced";
    fails(here, &[&train[..], &["--out=other"]].concat(), 2, taken);
    assert!(!here.join("other").exists());
    let goes_on = ["train", "--resume=run", "--epochs=5"];
    succeeds(here, &[&goes_on[..], &["--plot=curves.svg"]].concat());
    assert_eq!(drawn().matches("<circle").count(), 2 * 2 * 5, "{}", drawn());
    // A drawing of the whole, where there was none; and never over something else.
    succeeds(here, &["train", "--resume=run", "--epochs=6", "--plot=new.svg"]);
    let new = fs::read_to_string(here.join("new.svg")).unwrap();
    assert_eq!(new.matches("<circle").count(), 2 * 2 * 6, "{new}");
    fs::write(here.join("mine.svg"), "<svg/>").unwrap();
    let resume = ["train", "--resume=run", "--epochs=7", "--plot=mine.svg"];
    fails(here, &resume, 2, "mine.svg is there already and is not replaced");
    assert_eq!(fs::read_to_string(here.join("mine.svg")).unwrap(), "<svg/>");
    fails(here, &["search", "data", "--plot=a.svg"], 2, "--plot goes with dnn train");
    fails(here, &["train", "data", "--find-lr", "--plot=a.svg"], 2, "--plot has no effect here");
}
