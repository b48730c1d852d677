//! What `dnn evaluate --metrics` says of each part.

use dnn_train::{Average, ClassMetrics, Metrics};

use crate::output::{left, plain, right, width};

/// More classes than this are not shown as a square of counts.
const MOST_SHOWN: usize = 12;

/// A table of the classes, the numbers of the whole, and which class was called which.
pub(crate) fn text(name: &str, classes: &[String], metrics: &Metrics) -> String {
    let names: Vec<String> = classes.iter().map(|class| plain(class)).collect();
    let wide = names.iter().map(|name| width(name)).max().unwrap_or(0).max(8);
    let mut text = format!(
        "\n{name}\n{:<wide$} {:>9} {:>9} {:>7} {:>8} {:>8}\n",
        "class", "precision", "recall", "F1", "ROC AUC", "examples"
    );
    let area = |area: Option<f64>| area.map_or("-".to_owned(), |area| format!("{area:.4}"));
    let mut row = |name: &str, average: Average, roc_auc: Option<f64>, examples: usize| {
        text += &format!(
            "{} {:>7.1} % {:>7.1} % {:>7.4} {:>8} {examples:>8}\n",
            left(name, wide),
            100.0 * average.precision,
            100.0 * average.recall,
            average.f1,
            area(roc_auc),
        );
    };
    for (name, class) in names.iter().zip(&metrics.classes) {
        let ClassMetrics { precision, recall, f1, support, roc_auc } = *class;
        row(name, Average { precision, recall, f1 }, roc_auc, support);
    }
    let all = metrics.classes.iter().map(|class| class.support).sum();
    row("macro", metrics.macro_average, metrics.roc_auc, all);
    row("weighted", metrics.weighted_average, None, all);
    text += &of_some_classes(metrics).map_or(String::new(), |reason| format!("{reason}\n"));
    text += &format!(
        "log loss {:.4}, Brier score {:.4}, calibration error {:.4}\n",
        metrics.log_loss, metrics.brier, metrics.calibration_error
    );
    text += &reliability(metrics);
    if names.len() <= MOST_SHOWN {
        text += &confusion(&names, wide, metrics);
    }
    text
}

/// Why the area under the ROC curve is not that of all classes, where it is not.
pub(crate) fn of_some_classes(metrics: &Metrics) -> Option<String> {
    let classes = metrics.classes.len();
    let with_one = metrics.classes.iter().filter(|class| class.roc_auc.is_some()).count();
    match (metrics.roc_auc, classes - with_one) {
        (Some(_), 0) => None,
        (Some(_), without) => {
            let have = if without == 1 { "has" } else { "have" };
            Some(format!(
                "ROC AUC: the mean over {with_one} of {classes} classes; {without} {have} no examples here"
            ))
        }
        (None, _) => Some(
            "ROC AUC: none, because all examples are of one class: there are no others to rank below"
                .to_owned(),
        ),
    }
}

/// How sure the answers were, and how right; in tenths of confidence.
fn reliability(metrics: &Metrics) -> String {
    let mut text =
        format!("\n{:>10} {:>8} {:>9} {:>9}\n", "confidence", "examples", "mean", "accuracy");
    for (tenth, bin) in metrics.reliability.iter().enumerate().filter(|(_, bin)| bin.examples > 0) {
        text += &format!(
            "{:>3} to {:>3} {:>8} {:>7.1} % {:>7.1} %\n",
            10 * tenth,
            10 * (tenth + 1),
            bin.examples,
            100.0 * bin.confidence,
            100.0 * bin.accuracy
        );
    }
    text
}

fn confusion(names: &[String], wide: usize, metrics: &Metrics) -> String {
    let cell = names.iter().map(|name| width(name)).max().unwrap_or(0).max(5);
    let mut text = format!("\n{:<wide$}", "called:");
    for name in names {
        text += &format!(" {}", right(name, cell));
    }
    text.push('\n');
    for (name, row) in names.iter().zip(&metrics.confusion) {
        text += &left(name, wide);
        for count in row {
            text += &format!(" {count:>cell$}");
        }
        text.push('\n');
    }
    text
}
