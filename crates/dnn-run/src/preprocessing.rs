//! Between the two forms of what is done to a picture: names, which a network carries, and what `dnn-data` does.

use dnn_data::ImageShape;
use dnn_data::picture::Preprocessing;

use crate::error::Result;

/// What a network carries.
pub(crate) fn to_record(preprocessing: &Preprocessing) -> dnn_layers::Preprocessing {
    dnn_layers::Preprocessing {
        fit: preprocessing.fit.to_string(),
        filter: preprocessing.filter.to_string(),
    }
}

/// What is done for a network with this input; names that are none are an error.
pub(crate) fn of_record(
    record: &dnn_layers::Preprocessing,
    shape: ImageShape,
) -> Result<Preprocessing> {
    Ok(Preprocessing { shape, fit: record.fit.parse()?, filter: record.filter.parse()? })
}

#[cfg(test)]
mod tests {
    use dnn_data::picture::{Filter, Fit};

    use super::*;

    #[test]
    fn what_a_network_carries_comes_back_and_what_is_none_is_named() {
        let shape = ImageShape { height: 5, width: 6, channels: 3 };
        let own = Preprocessing { shape, fit: Fit::Pad, filter: Filter::Lanczos };
        assert_eq!(of_record(&to_record(&own), shape).unwrap(), own);
        let mut record = to_record(&own);
        record.fit = "squeeze".to_owned();
        let error = of_record(&record, shape).unwrap_err().to_string();
        assert!(
            error.contains("expected stretch, pad or crop") && error.contains("squeeze"),
            "{error}"
        );
    }
}
