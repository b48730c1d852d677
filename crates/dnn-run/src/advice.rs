//! What the measured parts of a trained model say to its user, each at most once, with what to do.

use dnn_train::Classification;

use crate::parts::MeasuredPart;

/// With fewer pictures of a class the default shares leave one or two of it to be tested on and none or one
/// to be validated on, so that its accuracy is known to half at best.
const FEW: usize = 10;

/// A smaller difference than these ten points is common for models that are as good as they get.
const LARGE_GAP: f64 = 0.1;

/// So many classes are named.
const NAMED: usize = 5;

/// What there is to say of a model, from how its parts were measured.
pub(crate) fn notes(measured: &[MeasuredPart], classes: &[String]) -> Vec<String> {
    let of = |wanted: &str| measured.iter().find(|part| part.name == wanted);
    let notes = [
        few_pictures(measured, classes),
        of("train").zip(of("validation").or_else(|| of("test"))).and_then(|(a, b)| gap(a, b)),
        of("test").or_else(|| of("validation")).and_then(near_baseline),
    ];
    notes.into_iter().flatten().collect()
}

/// Classes that have too few pictures in all parts together.
fn few_pictures(measured: &[MeasuredPart], classes: &[String]) -> Option<String> {
    let mut counts = vec![0; classes.len()];
    for part in measured {
        let found = &part.evaluation.classification.as_ref()?.actual;
        counts.iter_mut().zip(found).for_each(|(count, more)| *count += more);
    }
    // Classes without any were named when the data was loaded.
    let few: Vec<String> = (classes.iter().zip(&counts))
        .filter(|(_, count)| (1..FEW).contains(*count))
        .map(|(class, count)| format!("{class} ({count})"))
        .collect();
    let named = few.get(..NAMED).unwrap_or(&few).join(", ");
    let more = few.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!few.is_empty()).then(|| {
        format!(
            "fewer than {FEW} pictures, which is too few to learn a class or to measure it: {named}{rest}; \
             add pictures, or leave the class out"
        )
    })
}

/// A training part that is known much better than pictures that were not trained on: a difference that
/// neither is small nor can be chance, since the intervals of the two do not meet.
fn gap(train: &MeasuredPart, held_out: &MeasuredPart) -> Option<String> {
    let (name, train, held_out) = (&held_out.name, &train.evaluation, &held_out.evaluation);
    let (known, new) = (train.accuracy()?, held_out.accuracy()?);
    let (lowest, highest) = (train.interval()?.0, held_out.interval()?.1);
    (known - new >= LARGE_GAP && lowest > highest).then(|| {
        format!(
            "accuracy {} on the training part, {} on the {name} part: the network knows the pictures that \
             it was trained on by heart; more pictures, --augment, more --dropout, --l2 or \
             --early-stopping may help",
            percent(known),
            percent(new)
        )
    })
}

/// An accuracy that the commonest class alone could have: the baseline is no lower than the interval.
fn near_baseline(MeasuredPart { name, evaluation: part }: &MeasuredPart) -> Option<String> {
    let counted = part.classification.as_ref()?;
    let (low, baseline) = (counted.interval().0, counted.baseline());
    (several_classes(counted) && low <= baseline).then(|| {
        format!(
            "accuracy {} on the {name} part is no better than always answering with its commonest class \
             ({}), within what {} pictures can tell; look at the pictures with dnn doctor, choose a \
             learning rate with --find-lr, add pictures or epochs",
            percent(counted.accuracy()),
            percent(baseline),
            part.examples
        )
    })
}

/// Where all pictures are of one class no answer is better than the commonest.
fn several_classes(counted: &Classification) -> bool {
    counted.actual.iter().filter(|&&count| count > 0).count() > 1
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use dnn_train::Evaluation;

    use super::*;

    fn named(name: &str, evaluation: Evaluation) -> MeasuredPart {
        MeasuredPart { name: name.to_owned(), evaluation }
    }

    fn part(correct: usize, actual: &[usize]) -> Evaluation {
        let classification =
            Classification { correct, actual: actual.to_vec(), predicted: actual.to_vec() };
        Evaluation {
            examples: actual.iter().sum(),
            cost: 0.0,
            classification: Some(classification),
            regression: None,
            labels: None,
        }
    }

    fn told(train: Evaluation, validation: Evaluation, test: Evaluation) -> Vec<String> {
        let classes = ["a", "b", "c"].map(str::to_owned);
        notes(
            &[named("train", train), named("validation", validation), named("test", test)],
            &classes,
        )
    }

    #[test]
    fn a_good_model_of_enough_pictures_needs_no_words() {
        let good = told(part(198, &[100, 100]), part(18, &[10, 10]), part(45, &[25, 25]));
        assert!(good.is_empty(), "{good:?}");
    }

    /// All of 200 right and 30 of 50: 98.1 to 100 % against 46.2 to 72.4 %. Of 5 pictures 4 are right: the
    /// interval reaches to 96.4 %. Of 1000, 910: a difference of 9 points is no chance, but small.
    #[test]
    fn a_gap_is_told_if_it_is_large_and_no_chance() {
        let test = || part(45, &[25, 25]);
        let gap = told(part(200, &[100, 100]), part(30, &[25, 25]), test());
        let expected = "accuracy 100.0 % on the training part, 60.0 % on the validation part: ";
        assert!(gap.len() == 1 && gap[0].starts_with(expected), "{gap:?}");
        assert!(told(part(190, &[100, 100]), part(4, &[3, 2]), test()).is_empty());
        assert!(told(part(1000, &[500, 500]), part(910, &[500, 500]), test()).is_empty());
        // Where there is no validation part, the test part tells.
        let without = [named("train", part(200, &[100, 100])), named("test", part(30, &[25, 25]))];
        let classes = ["a", "b"].map(str::to_owned);
        assert!(notes(&without, &classes)[0].contains(" on the test part: "));
    }

    #[test]
    fn classes_of_fewer_than_ten_pictures_are_named_with_their_number() {
        let few = told(part(207, &[7, 100, 100]), part(21, &[1, 10, 10]), part(41, &[1, 20, 20]));
        assert!(few.len() == 1 && few[0].contains(" to measure it: a (9); "), "{few:?}");
        let enough =
            told(part(208, &[8, 100, 100]), part(21, &[1, 10, 10]), part(41, &[1, 20, 20]));
        assert!(enough.is_empty(), "{enough:?}");
        let many: Vec<String> = (0..8).map(|class| format!("c{class}")).collect();
        let few = notes(&[named("test", part(8, &[1; 8]))], &many);
        assert!(few[0].contains("c4 (1) and 3 more; "), "{few:?}");
        let none = told(part(100, &[0, 100]), part(10, &[0, 10]), part(20, &[0, 20]));
        assert!(none.is_empty(), "one class alone: {none:?}");
    }

    /// 30 of 50 with a commonest class of 26: 46.2 % is below 52 %; 40 of 50 begins at 67 %.
    #[test]
    fn an_accuracy_that_the_commonest_class_alone_could_have_is_told() {
        let test =
            |correct| told(part(120, &[104, 96]), part(30, &[26, 24]), part(correct, &[26, 24]));
        let said = test(30);
        let expected = "accuracy 60.0 % on the test part is no better than always answering with its \
                        commonest class (52.0 %), within what 50 pictures can tell";
        assert!(said.len() == 1 && said[0].starts_with(expected), "{said:?}");
        assert!(test(40).is_empty());
    }

    #[test]
    fn regression_has_no_classes_to_speak_of() {
        let (classification, regression, labels) = (None, None, None);
        let part = Evaluation { examples: 5, cost: 1.0, classification, regression, labels };
        assert!(notes(&[named("train", part.clone()), named("test", part)], &[]).is_empty());
    }
}
