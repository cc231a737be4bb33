//! The rules of profile lean in the real promtool.

use slo_engine_core::{NoData, RuleKind, Severity};

use crate::lean_support::{ask, check, kinds, lean, named, promtools, shop};

#[test]
fn every_way_of_counting_passes_promtool() {
    let mut all = Vec::new();
    for slo in kinds() {
        for no_data in [NoData::Ignore, NoData::Good, NoData::Bad] {
            for (objective, min_events) in [(99.9, None), (100.0, Some(20))] {
                let mut slo = named(&slo, &format!("{}-{no_data:?}-{objective}", slo.name));
                (slo.objective, slo.own.no_data, slo.own.min_events) = (objective, no_data, min_events);
                for alert in [&mut slo.page, &mut slo.ticket] {
                    let name = format!("Burn{}", slo.id);
                    if let Some(alert) = alert {
                        alert.name = name;
                    }
                }
                let (groups, findings) = lean(&slo);
                assert!(findings.iter().all(|finding| finding.severity != Severity::Error), "{findings:?}");
                assert!(groups.iter().all(|group| group.rules.len() < 20 && group.interval.is_some()));
                all.extend(groups);
            }
        }
    }
    let alerts = all.iter().flat_map(|g| &g.rules).filter(|r| r.kind == RuleKind::Alert).count();
    assert_eq!(alerts, 6 * 3 * 2 * 3);
    check(&all);
}

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
            .chain([
                (28_800, "slo:sli_events:tally".to_owned()),
                (28_800, "{__name__=~\"slo:.*\"}".to_owned()),
            ])
            .collect();
        for (question, answer) in questions.iter().zip(ask(&tool, &groups, &series, &questions)) {
            println!("{question:?} {answer:#?}");
        }
    }
}
