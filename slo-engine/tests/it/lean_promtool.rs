//! The rules of profile lean in the real promtool.

use slo_engine_core::{NoData, RuleKind, Severity};

use crate::lean_support::{World, ask, check, events, kinds, lean, named, promtools, shop};

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
fn groups_by_label_are_counted_each() {
    let slo = slo_engine_core::Slo {
        objective: 99.0,
        sli: events(
            "sum by (cluster) (rate(bad_total[{{.window}}]))",
            "sum by (cluster) (rate(all_total[{{.window}}]))",
        ),
        ..shop()
    };
    let (groups, findings) = lean(&slo);
    assert!(findings.is_empty(), "{findings:?}");
    check(&groups);
    // The second cluster never had an error: its series of errors is not there.
    let series = vec![
        ("all_total{cluster=\"a\"}".to_owned(), "0+30x500".to_owned()),
        ("all_total{cluster=\"b\"}".to_owned(), "0+60x500".to_owned()),
        ("bad_total{cluster=\"a\"}".to_owned(), "0+6x500".to_owned()),
    ];
    let by_cluster = |metric: &str| format!("max by (cluster) ({metric})");
    let questions = [
        by_cluster("slo:sli_error:ratio_rate1h"),
        by_cluster("slo:current_burn_rate:ratio"),
        "count by (cluster, sloth_severity) (ALERTS{alertstate=\"firing\"})".to_owned(),
    ];
    for tool in promtools() {
        let questions = questions.iter().map(|question| (14_400, question.clone())).collect();
        let world = World { series: series.clone(), questions };
        let told: Vec<Vec<(String, f64)>> = ask(&tool, &groups, &[world], 30)
            .remove(0)
            .iter()
            .map(|answer| answer.iter().map(|(k, v)| (k.clone(), (v * 1e9).round() / 1e9)).collect())
            .collect();
        let (a, b) = ("{cluster=\"a\"}".to_owned(), "{cluster=\"b\"}".to_owned());
        assert_eq!(told[0], [(a.clone(), 0.2), (b.clone(), 0.0)], "{tool}");
        assert_eq!(told[1], [(a, 20.0), (b, 0.0)], "{tool}");
        let page = "{cluster=\"a\", sloth_severity=\"page\"}".to_owned();
        assert_eq!(told[2], [(page, 1.0)], "{tool}");
    }
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
    let questions: Vec<(u64, String)> = ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]
        .map(|window| (28_800, format!("slo:sli_error:ratio_rate{window}")))
        .into_iter()
        .chain([(28_800, "slo:sli_events:window{sloth_window=\"6h\"}".to_owned())])
        .collect();
    let series = vec![
        ("all_total{i=\"1\"}".to_owned(), "0+30x1000".to_owned()),
        ("bad_total{i=\"1\"}".to_owned(), "0+3x1000".to_owned()),
    ];
    for tool in promtools() {
        let world = World { series: series.clone(), questions: questions.clone() };
        let answers = ask(&tool, &groups, &[world], 30).remove(0);
        for ((_, question), answer) in questions.iter().zip(&answers) {
            let values: Vec<f64> = answer.values().map(|v| (v * 1e9).round() / 1e9).collect();
            let expected = match question.as_str() {
                // Eight hours are less than half of these windows.
                "slo:sli_error:ratio_rate1d" | "slo:sli_error:ratio_rate3d" => vec![],
                q if q.contains("window") => vec![21_600.0, 2_160.0, 21_600.0],
                _ => vec![0.1],
            };
            assert_eq!(values, expected, "{tool} {question}");
        }
    }
}
