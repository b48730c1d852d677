//! Draws that never change within a major version: first weights, orders of examples, dropout. The words,
//! uniform and normal numbers beneath them are fixed in `dnn-core`.
//!
//! The numbers are from a second implementation of ChaCha8 and of the documented formulas, in Python.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::pairs::Pairs;
use std::ops::ControlFlow;

use crate::fits::{build, full, size};
use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
use dnn_layers::{Dense, Dropout, Head, Network};
use dnn_train::{Event, Examples, Trainer};
use ndarray::Array2;

/// Two units of three inputs, row by row, of seed 7.
const WEIGHTS: [(&str, [f64; 6]); 12] = [
    ("zeros", [0.0; 6]),
    ("constant:0.1", [0.1; 6]),
    (
        "normal:0.01",
        [
            0.004_021_899_504_558_159,
            -0.009_152_189_268_634_545,
            0.004_937_544_503_473_343,
            -0.009_894_697_468_595_944,
            0.005_180_131_809_452_633,
            -0.002_441_788_727_279_802_6,
        ],
    ),
    (
        "uniform:0.1",
        [
            -0.092_028_644_874_904_1,
            -0.087_978_488_126_485_34,
            -0.087_883_180_377_197_07,
            0.070_544_368_923_534_33,
            -0.071_310_349_639_881_35,
            0.031_337_098_858_893_82,
        ],
    ),
    (
        "he-normal",
        [
            0.328_386_719_430_665_16,
            -0.747_273_124_584_353,
            0.403_148_820_526_447_1,
            -0.807_898_665_242_281_5,
            0.422_955_991_117_302_9,
            -0.199_371_214_717_182_25,
        ],
    ),
    (
        "he-uniform",
        [
            -1.301_481_577_089_066,
            -1.244_203_711_055_558_8,
            -1.242_855_855_939_131_6,
            0.997_648_032_807_133_5,
            -1.008_480_635_982_875_5,
            0.443_173_502_116_740_84,
        ],
    ),
    (
        "xavier-normal",
        [
            0.254_367_259_094_130_77,
            -0.578_835_273_316_715_9,
            0.312_277_733_588_418_5,
            -0.625_795_615_181_311_4,
            0.327_620_301_955_193_3,
            -0.154_432_278_862_557_98,
        ],
    ),
    (
        "xavier-uniform",
        [
            -1.008_123_294_692_343_3,
            -0.963_756_050_441_528_8,
            -0.962_712_006_357_724,
            0.772_774_843_287_723_6,
            -0.781_165_741_626_868_1,
            0.343_280_718_635_710_86,
        ],
    ),
    (
        "lecun-normal",
        [
            0.232_204_476_161_027_52,
            -0.528_401_893_792_055_8,
            0.285_069_264_821_609_16,
            -0.571_270_624_704_377_7,
            0.299_075_049_462_522_06,
            -0.140_976_737_899_918_77,
        ],
    ),
    (
        "lecun-uniform",
        [
            -0.920_286_448_749_041,
            -0.879_784_881_264_853_4,
            -0.878_831_803_771_970_7,
            0.705_443_689_235_343_3,
            -0.713_103_496_398_813_4,
            0.313_370_988_588_938_2,
        ],
    ),
    (
        "inverse-sqrt",
        [
            0.232_204_476_161_027_55,
            -0.528_401_893_792_055_8,
            0.285_069_264_821_609_16,
            -0.571_270_624_704_377_7,
            0.299_075_049_462_522_1,
            -0.140_976_737_899_918_77,
        ],
    ),
    (
        "orthogonal",
        [
            0.360_715_599_228_692_95,
            -0.820_840_359_772_391_7,
            0.442_837_848_700_645_3,
            -0.931_801_257_959_863_7,
            -0.296_607_815_750_502_27,
            0.209_213_334_422_382_55,
        ],
    ),
];

#[test]
fn first_weights_are_fixed() {
    for rule in Initializer::ALL {
        let name = rule.to_string();
        let (_, expected) = WEIGHTS
            .iter()
            .find(|(fixed, _)| *fixed == name)
            .unwrap_or_else(|| panic!("{name} has no fixed numbers"));
        let mut stream = RandomStream::new(7, Purpose::Initialization, 0);
        let found: Array2<f64> = rule.weights(2, 3, &mut stream).unwrap();
        for (found, expected) in found.iter().zip(expected) {
            // The logarithm is the platform's: its last bit may differ.
            assert!((found - expected).abs() < 1e-15, "{name}: {found} {expected}");
        }
    }
}

#[test]
fn orders_are_fixed() {
    let trainer = Trainer { seed: 7, batch: size(5), ..Trainer::default() };
    for (epoch, expected) in [
        (1, [9, 11, 10, 0, 4, 2, 7, 5, 8, 3, 1, 6]),
        (2, [3, 8, 6, 4, 9, 1, 10, 0, 11, 5, 7, 2]),
        (1000, [5, 10, 4, 1, 11, 3, 8, 0, 2, 9, 6, 7]),
    ] {
        assert_eq!(trainer.batches(12, epoch).unwrap().concat(), expected, "epoch {epoch}");
    }
}

/// A network whose output is what the second dropout keeps of 1, 2, 4 and 8, times 256 and what the first
/// keeps of 1, 2, 4, ... 128.
fn telling() -> Network<f64> {
    let builder = Network::builder(Shape::flat(1))
        .layer(Dense { units: 8 })
        .layer(Dropout { rate: 0.5 })
        .layer(Dense { units: 4 })
        .layer(Dropout { rate: 0.25 });
    let mut network = build(builder.outputs(1, Head::Identity));
    let kept = [1.0, 0.5, 0.75];
    for (l, mut layer) in network.pairs_mut().enumerate() {
        layer.weights.indexed_iter_mut().for_each(|((_, input), weight)| {
            *weight = f64::from(1_u32 << input) * kept[l];
        });
        layer.bias.fill([1.0, 256.0, 0.0][l]);
    }
    network
}

#[test]
fn what_dropout_drops_is_fixed() {
    let bits = |kept: &[u32]| kept.iter().rev().fold(0, |bits, kept| 2 * bits + kept);
    let (x, y) = (Array2::zeros((1, 6)), Array2::zeros((1, 6)));
    let mut checked = 0;
    for (example, steps) in [
        (
            0,
            [
                (1, [0, 0, 1, 1, 0, 1, 0, 1], [1, 1, 1, 1]),
                (2, [1, 1, 0, 1, 0, 0, 0, 1], [0, 1, 0, 1]),
                (17, [0, 0, 1, 0, 0, 1, 1, 1], [1, 1, 1, 1]),
            ],
        ),
        (
            1,
            [
                (1, [1, 1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 1]),
                (2, [1, 0, 1, 1, 1, 0, 1, 1], [1, 1, 1, 1]),
                (17, [1, 1, 0, 1, 0, 0, 1, 0], [1, 0, 0, 1]),
            ],
        ),
        (
            5,
            [
                (1, [0, 0, 0, 0, 0, 1, 0, 0], [1, 1, 1, 1]),
                (2, [1, 0, 1, 1, 1, 0, 0, 1], [0, 1, 1, 1]),
                (17, [0, 1, 1, 0, 0, 0, 0, 1], [1, 1, 1, 1]),
            ],
        ),
    ] {
        // The cost of a step is that of this example alone.
        let mut weights = [0.0; 6];
        weights[example] = 1.0;
        let examples = Examples::values(Features::Real(x.view()), y.view()).weighted(&weights);
        let mut costs = Vec::new();
        Trainer { seed: 7, ..full(1e-300, 17) }
            .fit(&mut telling(), &examples, None, &mut |event| {
                if let Event::Step { cost, .. } = event {
                    costs.push(cost);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        for (step, first, second) in steps {
            let expected = f64::from(bits(&second) * (256 + bits(&first)));
            let found = costs[step - 1].sqrt();
            assert!((found - expected).abs() < 1e-9, "step {step}: {found}, not {expected}");
            checked += 1;
        }
    }
    assert_eq!(checked, 9);
}
