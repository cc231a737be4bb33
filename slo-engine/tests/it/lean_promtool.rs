//! The rules of profile lean in the real promtool.

use crate::lean_support::{ask, check, lean, promtools, shop};

#[test]
fn additive_rules_pass_promtool() {
    let (groups, findings) = lean(&shop());
    assert!(findings.is_empty(), "{findings:?}");
    check(&groups);
}

#[test]
fn steady_errors_are_counted_exactly() {
    let (groups, _) = lean(&shop());
    let series = vec![
        ("all_total{i=\"1\"}".to_owned(), "0+30x1000".to_owned()),
        ("bad_total{i=\"1\"}".to_owned(), "0+3x1000".to_owned()),
    ];
    for tool in promtools() {
        let questions: Vec<(u64, String)> = ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]
            .iter()
            .map(|w| (28_800, format!("slo:sli_error:ratio_rate{w}")))
            .chain([(28_800, "slo:sli_events:window".to_owned()), (28_800, "ALERTS".to_owned())])
            .chain([(28_800, "slo:sli_events:tally".to_owned()), (28_800, "{__name__=~\"slo:.*\"}".to_owned())])
            .collect();
        for (question, answer) in questions.iter().zip(ask(&tool, &groups, &series, &questions)) {
            println!("{question:?} {answer:#?}");
        }
    }
}
