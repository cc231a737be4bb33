//! A table of queries, and the law behind the word additive: what is counted over a long window is the sum of what is
//! counted over the short ones.

use proptest::prelude::*;

use super::*;
use crate::PromDuration;

const BASE: PromDuration = PromDuration::from_secs(300);

fn reason(query: &str) -> Option<String> {
    match classify(query, BASE) {
        Classification::Additive(_) => None,
        Classification::Direct { reason } => Some(reason),
    }
}

#[test]
fn additive_queries() {
    use CountClass::{Increase, Rate, Samples};
    for (query, class, absent_is_zero) in [
        ("rate(x[{{.window}}])", Rate, true),
        ("increase(x[{{ .window }}])", Increase, true),
        ("count_over_time(up[{{.window}}])", Samples, true),
        ("sum_over_time(up[{{.window}}])", Samples, true),
        ("sum(rate(x[{{.window}}]))", Rate, true),
        ("sum by (cluster) (rate(x[{{.window}}]))", Rate, true),
        ("sum without (pod) (rate(x[{{.window}}]))", Rate, true),
        ("sum(sum by (job) (rate(x[{{.window}}])))", Rate, true),
        ("(sum(rate(x{code=~\"5..\"}[{{.window}}])))", Rate, true),
        ("sum(rate(x[{{.window}}])) * 2", Rate, true),
        ("2 * sum(rate(x[{{.window}}]))", Rate, true),
        ("(1 + 1) * sum(rate(x[{{.window}}]))", Rate, true),
        ("sum(rate(x[{{.window}}])) / 1000", Rate, true),
        ("sum(rate(x[{{.window}}])) / (2 ^ 10)", Rate, true),
        ("-sum(rate(x[{{.window}}]))", Rate, true),
        ("sum(rate(x[{{.window}}])) > 0", Rate, true),
        ("sum(rate(x[{{.window}}]) > 0)", Rate, true),
        ("sum(rate(x[{{.window}}])) or vector(0)", Rate, true),
        ("sum(rate(x[{{.window}}])) or on() vector(0)", Rate, true),
        ("sum(rate(x[{{.window}}])) or vector(0.0001)", Rate, true),
        ("sum(increase(x[{{.window}}])) or vector(0)", Increase, true),
        ("sum(rate(x[{{.window}}])) or 0 * sum(rate(y[{{.window}}]))", Rate, true),
        ("sum(rate(x[{{.window}}])) + sum(rate(y[{{.window}}]))", Rate, false),
        ("(sum(rate(x[{{.window}}])) or vector(0)) + (sum(rate(y[{{.window}}])) or vector(0))", Rate, true),
        // Latency: slower than the bucket.
        ("sum(rate(d_count[{{.window}}])) - sum(rate(d_bucket{le=\"0.5\"}[{{.window}}]))", Rate, false),
        (
            "sum(rate(d_count[{{.window}}]) - ignoring(le) rate(d_bucket{le=\"0.5\"}[{{.window}}]))",
            Rate,
            false,
        ),
        ("sum(rate(d_bucket{le=\"0.5\"}[{{.window}}]))", Rate, true),
        ("histogram_count(sum(rate(native[{{.window}}])))", Rate, true),
        ("histogram_sum(increase(native[{{.window}}]))", Increase, true),
        ("label_replace(sum by (a) (rate(x[{{.window}}])), \"b\", \"$1\", \"a\", \"(.*)\")", Rate, true),
        ("count_over_time((x > 5)[{{.window}}:1m])", Samples, true),
        ("sum_over_time((x > bool 5)[{{.window}}:30s])", Samples, true),
        ("sum(count_over_time((probe_success == 0)[{{.window}}:1m])) or vector(0)", Samples, true),
        ("count_over_time(up[{{.window}}]) - sum_over_time(up[{{.window}}])", Samples, false),
        ("sum(rate(x[{{.window}}])) # all of them", Rate, true),
        ("sum(\n  rate(x[{{.window}}])\n)\n", Rate, true),
    ] {
        assert_eq!(
            classify(query, BASE),
            Classification::Additive(Additive { class, absent_is_zero }),
            "{query}: {:?}",
            reason(query)
        );
    }
}

#[test]
fn direct_queries_name_the_construct() {
    for (query, part) in [
        ("max(rate(x[{{.window}}]))", "`max`"),
        ("min(rate(x[{{.window}}]))", "`min`"),
        ("avg(rate(x[{{.window}}]))", "`avg`"),
        ("count(rate(x[{{.window}}]))", "`count`"),
        ("topk(3, rate(x[{{.window}}]))", "`topk`"),
        ("quantile(0.9, rate(x[{{.window}}]))", "`quantile`"),
        ("group(rate(x[{{.window}}]))", "`group`"),
        ("histogram_quantile(0.9, sum by (le) (rate(x[{{.window}}])))", "`histogram_quantile`"),
        ("histogram_fraction(0, 1, rate(x[{{.window}}]))", "`histogram_fraction`"),
        ("clamp_max(sum(rate(x[{{.window}}])), 1)", "`clamp_max`"),
        ("clamp_min(sum(rate(x[{{.window}}])), 1)", "`clamp_min`"),
        ("abs(sum(rate(x[{{.window}}])))", "`abs`"),
        ("irate(x[{{.window}}])", "`irate`"),
        ("delta(x[{{.window}}])", "`delta`"),
        ("idelta(x[{{.window}}])", "`idelta`"),
        ("avg_over_time(x[{{.window}}])", "`avg_over_time`"),
        ("max_over_time(x[{{.window}}])", "`max_over_time`"),
        ("last_over_time(x[{{.window}}])", "`last_over_time`"),
        ("quantile_over_time(0.9, x[{{.window}}])", "`quantile_over_time`"),
        ("changes(x[{{.window}}])", "`changes`"),
        ("resets(x[{{.window}}])", "`resets`"),
        ("scalar(sum(rate(x[{{.window}}])))", "`scalar`"),
        ("absent(x)", "`absent`"),
        ("sum(rate(x[5m]))", "fixed range [5m]"),
        ("sum(rate(x[5m])) + sum(rate(y[{{.window}}]))", "fixed range [5m]"),
        ("sum(rate(x[{{.window}}] offset 5m))", "`offset`"),
        ("sum(rate(x[{{.window}}] offset -5m))", "`offset`"),
        ("sum(rate(x[{{.window}}] @ 1600000000))", "`@`"),
        ("sum(rate(x[{{.window}}] @ end()))", "`@`"),
        ("sum(rate(x[5m])) offset {{.window}}", "does not parse"),
        ("sum(rate(x[{{.window}}])) / sum(rate(y[{{.window}}]))", "`/` of two queries"),
        ("sum(rate(x[{{.window}}])) * on() group_left sum(rate(y[{{.window}}]))", "`*` of two queries"),
        ("1 / sum(rate(x[{{.window}}]))", "`/` of two queries"),
        ("sum(rate(x[{{.window}}])) / 0", "`/`"),
        ("sum(rate(x[{{.window}}])) ^ 2", "`^`"),
        ("sum(rate(x[{{.window}}])) % 2", "`%`"),
        ("sum(rate(x[{{.window}}])) + 1", "with a constant"),
        ("1 - sum(rate(x[{{.window}}]))", "with a constant"),
        ("sum(rate(x[{{.window}}])) > 5", "once per window"),
        ("sum(rate(x[{{.window}}])) > bool 0", "once per window"),
        ("sum(rate(x[{{.window}}])) and up", "once per window"),
        ("sum(rate(x[{{.window}}])) unless up", "once per window"),
        ("sum(rate(x[{{.window}}])) or sum(rate(y[{{.window}}]))", "picks one"),
        ("sum(rate(x[{{.window}}])) or vector(-1)", "negative"),
        ("sum(increase(x[{{.window}}])) or vector(1)", "above zero"),
        ("sum(rate(x[{{.window}}])) or on(job) vector(0)", "label list"),
        ("sum(rate(x[{{.window}}])) + sum(increase(y[{{.window}}]))", "mixed"),
        ("sum(rate(x[{{.window}}])) + count_over_time(y[{{.window}}])", "mixed"),
        ("rate(rate(x[5m])[{{.window}}:1m])", "subquery"),
        ("sum_over_time(rate(x[5m])[{{.window}}:])", "without a step"),
        ("sum_over_time(x[{{.window}}:7s])", "does not divide"),
        ("sum_over_time(x[{{.window}}:1m] offset 1m)", "`offset`"),
        ("sum_over_time(rate(x[{{.window}}])[{{.window}}:1m])", "elsewhere"),
        ("sum(rate(x{w=\"{{.window}}\"}[{{.window}}]))", "elsewhere"),
        ("x", "gauge"),
        ("sum(x)", "gauge"),
        ("vector(1)", "`vector`"),
        ("1", "constant"),
        ("1 + 2", "constant"),
        ("sum(rate(x[{{.window}}])", "does not parse"),
        ("", "does not parse"),
    ] {
        let given = reason(query).unwrap_or_else(|| panic!("{query} was taken for additive"));
        assert!(given.contains(part), "{query}: {given}");
        assert!(!given.ends_with('.') && !given.starts_with(char::is_uppercase), "{given}");
    }
}

/// A query with its value: what it counts when the leaves `x0`, `x1`, .. count this.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(usize),
    Sum(Box<Tree>),
    Add(Box<Tree>, Box<Tree>),
    Sub(Box<Tree>, Box<Tree>),
    Times(f64, Box<Tree>),
    Over(Box<Tree>, f64),
    Max(Box<Tree>),
    Square(Box<Tree>),
    Plus(Box<Tree>, f64),
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Self::Leaf(n) => format!("sum(increase(x{n}[{{{{.window}}}}]))"),
            Self::Sum(a) => format!("sum({})", a.text()),
            Self::Add(a, b) => format!("({} + {})", a.text(), b.text()),
            Self::Sub(a, b) => format!("({} - {})", a.text(), b.text()),
            Self::Times(c, a) => format!("({c} * {})", a.text()),
            Self::Over(a, c) => format!("({} / {c})", a.text()),
            Self::Max(a) => format!("clamp_min({}, 1)", a.text()),
            Self::Square(a) => format!("({} ^ 2)", a.text()),
            Self::Plus(a, c) => format!("({} + {c})", a.text()),
        }
    }

    fn value(&self, leaves: &[f64]) -> f64 {
        match self {
            Self::Leaf(n) => leaves[*n],
            Self::Sum(a) => a.value(leaves),
            Self::Add(a, b) => a.value(leaves) + b.value(leaves),
            Self::Sub(a, b) => a.value(leaves) - b.value(leaves),
            Self::Times(c, a) => c * a.value(leaves),
            Self::Over(a, c) => a.value(leaves) / c,
            Self::Max(a) => a.value(leaves).max(1.0),
            Self::Square(a) => a.value(leaves).powi(2),
            Self::Plus(a, c) => a.value(leaves) + c,
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = (0..3_usize).prop_map(Tree::Leaf);
    leaf.prop_recursive(5, 24, 2, |inner| {
        let number = prop_oneof![Just(0.5), Just(2.0), Just(3.0)];
        let one = inner.clone().prop_map(Box::new);
        prop_oneof![
            4 => one.clone().prop_map(Tree::Sum),
            4 => (one.clone(), one.clone()).prop_map(|(a, b)| Tree::Add(a, b)),
            4 => (one.clone(), one.clone()).prop_map(|(a, b)| Tree::Sub(a, b)),
            4 => (number.clone(), one.clone()).prop_map(|(c, a)| Tree::Times(c, a)),
            4 => (one.clone(), number.clone()).prop_map(|(a, c)| Tree::Over(a, c)),
            1 => one.clone().prop_map(Tree::Max),
            1 => one.clone().prop_map(Tree::Square),
            1 => (one, number).prop_map(|(a, c)| Tree::Plus(a, c)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_called_additive_adds_up(
        tree in trees(),
        windows in prop::collection::vec([0_u32..1000, 0_u32..1000, 0_u32..1000], 2..12),
    ) {
        if classify(&tree.text(), BASE).additive().is_some() {
            let leaves = |w: &[u32; 3]| w.map(f64::from);
            let short: f64 = windows.iter().map(|w| tree.value(&leaves(w))).sum();
            let whole = windows.iter().fold([0; 3], |sum, w| [sum[0] + w[0], sum[1] + w[1], sum[2] + w[2]]);
            let long = tree.value(&leaves(&whole));
            prop_assert!((short - long).abs() <= 1e-6 * (1.0 + long.abs().max(short.abs())), "{} {short} {long}", tree.text());
        }
    }

    #[test]
    fn wrapping_and_scaling_change_nothing(tree in trees()) {
        let plain = classify(&tree.text(), BASE).additive();
        prop_assert_eq!(classify(&format!("({})", tree.text()), BASE).additive(), plain);
        prop_assert_eq!(classify(&format!("2 * {}", tree.text()), BASE).additive(), plain);
        prop_assert_eq!(classify(&format!("{} > 0", tree.text()), BASE).additive(), plain);
        prop_assert_eq!(classify(drop_idle_filter(&format!("({} > 0)", tree.text())), BASE).additive(), plain);
    }

    #[test]
    fn any_text_is_classified(text in "[a-z0-9(){}\\[\\]., *+/<>=\"-]{0,60}") {
        let _any = classify(&text, BASE);
        let _any = absence_is_zero(&text);
        let kept = drop_idle_filter(&text);
        prop_assert!(text.contains(kept));
    }
}
