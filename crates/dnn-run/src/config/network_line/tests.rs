use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> NetworkLine {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Lines, and how they are written.
const EXAMPLES: [[&str; 2]; 22] = [
    ["dense:256,128", "dense:256,128"],
    [" conv: 16 , 32,64 ", "conv:16,32,64"],
    ["resnet:24,48,96,192", "resnet:24,48,96,192"],
    ["conv 16", "conv 16"],
    ["conv 16 3x3 stride 1 pad same groups 1", "conv 16"],
    [
        "conv 32 no-bias pad 2 stride 2x1 groups 4 5x5",
        "conv 32 5x5 groups 4 stride 2x1 pad 2 no-bias",
    ],
    ["conv 32 1x7 pad valid stride 2x2", "conv 32 1x7 stride 2 pad valid"],
    ["depthwise", "depthwise 3x3"],
    ["depthwise 5x3 no-bias stride 2", "depthwise 5x3 stride 2 no-bias"],
    ["pool", "pool"],
    ["pool 2 stride 2 pad valid", "pool"],
    ["pool 3", "pool 3"],
    ["pool 3 stride 2 pad same", "pool 3 stride 2 pad same"],
    ["average-pool 3x2 stride 3x2", "average-pool 3x2"],
    [
        "global-max-pool,global-average-pool,global-pool",
        "global-max-pool, global-average-pool, global-pool",
    ],
    ["conv 8,pool,flatten,dense 64", "conv 8, pool, flatten, dense 64"],
    ["dense 64,\tbatch-norm, relu, dropout 0.30", "dense 64, batch-norm, relu, dropout 0.3"],
    ["dense 4, leaky-relu", "dense 4, leaky-relu:0.01"],
    [
        "dense 4, elu:1e300, dense 3, leaky-relu:-0.5",
        "dense 4, elu:1e300, dense 3, leaky-relu:-0.5",
    ],
    ["dense 4, identity", "dense 4, identity"],
    ["residual(conv 8,conv 8, identity), relu", "residual(conv 8, conv 8, identity), relu"],
    ["residual ( residual(conv 8),pool )", "residual(residual(conv 8), pool)"],
];

#[test]
fn lines_are_read_and_written_in_one_form() {
    for [text, written] in EXAMPLES {
        let line = parse(text);
        assert_eq!(line.to_string(), written, "{text}");
        assert_eq!(parse(written), line, "{text}");
    }
    let conv = Conv2d {
        window: Window { kernel: [5, 5], stride: [2, 2], padding: Padding::Each(1) },
        ..Conv2d::same(32, 3)
    };
    let NetworkLine::Layers(layers) = parse("conv 32 stride 2 5x5 pad 1, pool 3 stride 2") else {
        panic!("every layer is spelled out")
    };
    let pool = LineLayer::MaxPool(Window::square(3, 2, Padding::Valid));
    assert_eq!(layers, [LineLayer::Conv(conv), pool]);
}

#[test]
fn the_places_of_a_written_line_are_its_layers() {
    let places = |text: &str| {
        let written = parse(text).written();
        written.places.into_iter().map(|place| written.text[place].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(places("conv:16,32"), ["16", "32"]);
    let expected = ["conv 8", "residual(pool, pool 3)", "pool", "pool 3", "dense 4"];
    assert_eq!(places("conv 8,residual(pool 2,pool 3),dense 4"), expected);
}

#[test]
fn what_comes_after_a_layer_by_itself_depends_on_the_next_one() {
    for (text, completes) in [
        ("dense:4", true),
        ("conv 4, relu, dense 3, batch-norm", false),
        ("conv 4, dropout 0.1", true),
        ("depthwise, identity", false),
        ("flatten, global-pool", false),
        ("flatten, residual(conv 4, relu, conv 4), relu", true),
    ] {
        assert_eq!(parse(text).completes_layers(), completes, "{text}");
    }
}

/// Wrong lines: under which part of each the marks are, and what is said.
const WRONG: [[&str; 3]; 30] = [
    ["", "", "expected a layer, found the end of the line"],
    ["conv 16, ", "", "expected a layer, found the end of the line"],
    ["conv 16,, pool", ",", "expected a layer, found `,`"],
    ["conv 16, pol", "pol", "expected a layer, found `pol`"],
    ["relu:0.1", "relu:0.1", "expected a layer, found `relu:0.1`"],
    ["dense 4, elu:inf", "elu:inf", "expected an activation with a finite number, found `elu:inf`"],
    ["conv", "", "expected a number of units, at least 1, found the end of the line"],
    ["conv 0", "0", "expected a number of units, at least 1, found `0`"],
    ["conv 99999999999", "99999999999", "expected a number of units"],
    ["dense +4", "+4", "expected a number of units, at least 1, found `+4`"],
    [
        "conv 16 5",
        "5",
        "expected a window like 5x5, stride, pad, groups, no-bias or a comma, found `5`",
    ],
    ["conv 16 5x0", "5x0", "expected a window like 5x5"],
    ["conv 16 stride", "", "expected a stride like 2 or 2x1, found the end of the line"],
    ["conv 16 stride 2 stride 2", "stride", "expected each option once, found `stride`"],
    [
        "conv 16 pad full",
        "full",
        "expected same, valid or a whole number of rows and columns, found `full`",
    ],
    ["conv 16 groups x", "x", "expected a number of groups, found `x`"],
    ["depthwise groups 3", "groups", "expected a window like 5x5, stride, pad, no-bias or a comma"],
    ["pool 3 no-bias", "no-bias", "expected a window like 3 or 3x2, stride, pad or a comma"],
    ["flatten 3", "3", "expected a comma or the end of the line, found `3`"],
    ["channel-dropout", "", "expected a share from 0 up to but not including 1"],
    ["dropout 1", "1", "expected a share from 0 up to but not including 1, found `1`"],
    ["dropout nan", "nan", "expected a share from 0 up to but not including 1"],
    ["conv 16)", ")", "expected a comma or the end of the line, found `)`"],
    ["residual conv 16", "conv", "expected a parenthesis, `(`, found `conv`"],
    ["residual(conv 16", "", "expected a comma or a parenthesis, `)`, found the end of the line"],
    ["residual()", ")", "expected a layer, found `)`"],
    ["conv:", "", "expected a width, a whole number of at least 1, found the end of the line"],
    ["conv:16,x", "x", "expected a width, a whole number of at least 1, found `x`"],
    ["conv:16 32", "32", "expected a comma or the end of the line, found `32`"],
    ["conv:16, dense 64", "dense", "expected a width"],
];

#[test]
fn wrong_lines_say_where_and_what_was_expected() {
    for [text, marked, message] in WRONG {
        let error = text.parse::<NetworkLine>().unwrap_err();
        assert!(error.starts_with(message), "{text}: {error}");
        let lines: Vec<&str> = error.lines().collect();
        let [_, drawn, marks, advice] = lines[..] else { panic!("{text}: {error}") };
        assert_eq!(drawn, format!("  | {text}"));
        let start = marks.find('^').unwrap_or(0);
        let under = drawn.get(start..marks.len().min(drawn.len())).unwrap_or_default();
        assert_eq!(under, marked, "{error}");
        assert!(advice.starts_with("  = ") && advice.len() > 10, "{error}");
    }
}

#[test]
fn lines_are_bounded() {
    let of = |count: usize| vec!["relu"; count].join(",");
    assert!(of(1000).parse::<NetworkLine>().is_ok());
    let error = of(1001).parse::<NetworkLine>().unwrap_err();
    assert!(error.starts_with("expected the end of the line after 1000 layers"), "{error}");
    assert!(error.len() < 400, "a long line is not repeated: {error}");
    let widths = format!("conv:{}", vec!["8"; 1001].join(","));
    assert!(widths.parse::<NetworkLine>().is_err());
    let nested = |depth| format!("{}pool{}", "residual(".repeat(depth), ")".repeat(depth));
    assert!(nested(8).parse::<NetworkLine>().is_ok());
    assert!(nested(9).parse::<NetworkLine>().unwrap_err().contains("a depth of at most 8"));
    assert!(nested(30_000).len() > MOST_BYTES && nested(30_000).parse::<NetworkLine>().is_err());
    let error = " ".repeat(MOST_BYTES + 1).parse::<NetworkLine>().unwrap_err();
    assert_eq!(error, "expected a line of at most 100000 bytes, found 100001 bytes");
    let error = format!("conv {}", "é".repeat(500)).parse::<NetworkLine>().unwrap_err();
    assert!(error.chars().count() < 500, "{error}");
    // The longest of all lines is read in its own form.
    let longest =
        "conv 999999999 65535x65536 groups 999999999 stride 65535x65536 pad 65535 no-bias";
    let longest = NetworkLine::Layers(vec![parse_one(longest); 1000]);
    assert_eq!(longest.to_string().parse(), Ok(longest));
}

fn parse_one(text: &str) -> LineLayer {
    let NetworkLine::Layers(mut layers) = parse(text) else { panic!("{text}") };
    layers.remove(0)
}

fn a_window() -> impl Strategy<Value = Window> {
    let padding =
        prop_oneof![Just(Padding::Same), Just(Padding::Valid), (0..=MOST).prop_map(Padding::Each)];
    let pair = || prop_oneof![prop::array::uniform2(1_usize..5), prop::array::uniform2(1..=MOST)];
    (pair(), pair(), padding).prop_map(|(kernel, stride, padding)| Window {
        kernel,
        stride,
        padding,
    })
}

fn a_layer() -> impl Strategy<Value = LineLayer> {
    let numbers = || prop::num::f64::NORMAL | prop::num::f64::ZERO;
    let plain = prop_oneof![
        (1..=MOST_UNITS, a_window(), 1..20_usize, any::<bool>()).prop_map(
            |(units, window, groups, bias)| LineLayer::Conv(Conv2d { units, window, groups, bias })
        ),
        (a_window(), any::<bool>())
            .prop_map(|(window, bias)| LineLayer::Depthwise { window, bias }),
        a_window().prop_map(LineLayer::MaxPool),
        a_window().prop_map(LineLayer::AveragePool),
        prop::sample::select(vec![PoolBy::Maximum, PoolBy::Mean, PoolBy::Both])
            .prop_map(LineLayer::GlobalPool),
        Just(LineLayer::Flatten),
        Just(LineLayer::BatchNorm),
        (1..=MOST_UNITS).prop_map(LineLayer::Dense),
        (0.0..1.0).prop_map(LineLayer::Dropout),
        (0.0..1.0).prop_map(LineLayer::ChannelDropout),
        prop::sample::select(Activation::ALL.to_vec()).prop_map(LineLayer::Activation),
        numbers().prop_map(|slope| LineLayer::Activation(Activation::LeakyRelu(slope))),
        numbers().prop_map(|scale| LineLayer::Activation(Activation::Elu(scale))),
    ];
    plain.prop_recursive(3, 30, 4, |inside| {
        prop::collection::vec(inside, 1..4).prop_map(LineLayer::Residual)
    })
}

fn a_line() -> impl Strategy<Value = NetworkLine> {
    let widths = || prop::collection::vec(1..=MOST_UNITS, 1..10);
    prop_oneof![
        widths().prop_map(NetworkLine::Dense),
        widths().prop_map(NetworkLine::Conv),
        widths().prop_map(NetworkLine::Resnet),
        prop::collection::vec(a_layer(), 1..12).prop_map(NetworkLine::Layers),
    ]
}

proptest! {
    #[test]
    fn any_line_is_read_as_it_is_written(line in a_line()) {
        prop_assert_eq!(line.to_string().parse(), Ok(line));
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        refused_or_the_same(&text)?;
    }

    /// Texts of the words that there are come further than those of any letters.
    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..30)) {
        refused_or_the_same(&words.concat())?;
        refused_or_the_same(&words.join(" "))?;
    }
}

const WORDS: [&str; 25] = [
    "conv",
    "dense:",
    "conv:",
    "resnet:",
    "depthwise",
    "pool",
    "average-pool",
    "global-pool",
    "flatten",
    "dense",
    "batch-norm",
    "dropout",
    "channel-dropout",
    "residual",
    "(",
    ")",
    ",",
    "16",
    "0.3",
    "5x5",
    "stride",
    "pad",
    "no-bias",
    "é",
    "relu",
];

fn refused_or_the_same(text: &str) -> Result<(), TestCaseError> {
    match text.parse::<NetworkLine>() {
        Ok(line) => prop_assert_eq!(line.to_string().parse(), Ok(line)),
        Err(error) => {
            prop_assert!(error.contains("expected ") && error.contains("\n  | "), "{}", error);
        }
    }
    Ok(())
}
