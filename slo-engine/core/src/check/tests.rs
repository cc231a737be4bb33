use std::collections::BTreeMap;

use super::*;
use crate::PromDuration;
use crate::finding::Tier;
use crate::slo::{AlertMeta, OwnKeys, Query, SpecKind};

fn slo() -> Slo {
    Slo {
        id: "shop-checkout".to_owned(),
        name: "checkout".to_owned(),
        service: "shop".to_owned(),
        description: String::new(),
        objective: 99.9,
        period: PromDuration::from_days(30),
        labels: BTreeMap::from([("team".to_owned(), "a".to_owned())]),
        sli: events(
            r#"sum(rate(http_requests_total{code=~"5.."}[{{.window}}]))"#,
            "sum(rate(http_requests_total[{{.window}}]))",
        ),
        page: Some(AlertMeta { name: "Checkout".to_owned(), ..AlertMeta::default() }),
        ticket: None,
        spec: SpecKind::PrometheusV1,
        own: OwnKeys::default(),
    }
}

fn events(error: &str, total: &str) -> Sli {
    Sli::Events { error: Query(error.to_owned()), total: Query(total.to_owned()) }
}

fn raw(query: &str) -> Sli {
    Sli::Raw { error_ratio: Query(query.to_owned()) }
}

const LEAN: CheckOptions = CheckOptions { profile: Profile::Lean, promql: PromqlCheck::Strict, lints: true };
const SLOTH: CheckOptions =
    CheckOptions { profile: Profile::Sloth, promql: PromqlCheck::Strict, lints: true };

fn codes(slo: &Slo, options: &CheckOptions) -> Vec<&'static str> {
    check(slo, options).iter().map(|finding| finding.code).collect()
}

fn errors(slo: &Slo, options: &CheckOptions) -> Vec<&'static str> {
    let findings = check(slo, options);
    findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.code)
        .collect()
}

#[test]
fn a_good_slo_has_no_findings() {
    assert_eq!(check(&slo(), &LEAN), []);
    assert_eq!(check(&slo(), &SLOTH), []);
}

#[test]
fn names_follow_sloths_expression() {
    for good in ["ab", "a1", "A-b_c.d9", "1a"] {
        assert_eq!(codes(&Slo { name: good.to_owned(), ..slo() }, &SLOTH), [""; 0], "{good}");
    }
    for bad in ["-a", "a-", ".a", "a b", "a/b", "é1", "a\n"] {
        assert_eq!(codes(&Slo { service: bad.to_owned(), ..slo() }, &LEAN), ["name-characters"], "{bad}");
    }
    assert_eq!(codes(&Slo { name: String::new(), ..slo() }, &LEAN), ["name-required"]);
    assert_eq!(codes(&Slo { name: "a".to_owned(), ..slo() }, &SLOTH), ["name-characters"]);
    assert_eq!(codes(&Slo { name: "a".to_owned(), ..slo() }, &LEAN), [""; 0]);
}

#[test]
fn objectives_are_above_0_and_at_most_100() {
    for bad in [0.0, -1.0, 100.000001, f64::NAN, f64::INFINITY] {
        assert_eq!(codes(&Slo { objective: bad, ..slo() }, &LEAN), ["objective-range"], "{bad}");
    }
    for good in [100.0, 1.5, 99.999] {
        assert_eq!(codes(&Slo { objective: good, ..slo() }, &LEAN), [""; 0], "{good}");
    }
    assert_eq!(codes(&Slo { objective: 100.0, ..slo() }, &SLOTH), ["objective-hundred"]);
    let ratio = check(&Slo { objective: 0.999, ..slo() }, &LEAN);
    assert_eq!(ratio[0].help.as_deref(), Some("if 99.9 % is meant, write 99.9"));
}

#[test]
fn labels_and_annotations_have_names_and_values() {
    let with = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    for (key, value, code) in [
        ("__name__", "x", "label-name"),
        ("", "x", "label-name"),
        ("team", "", "label-empty"),
        ("a.b", "x", "label-name-utf8"),
    ] {
        assert_eq!(codes(&Slo { labels: with(key, value), ..slo() }, &LEAN), [code], "{key}={value}");
    }
    assert_eq!(codes(&Slo { labels: with("sloth_id", "x"), ..slo() }, &SLOTH), ["label-identity"]);
    let page = |labels, annotations| Some(AlertMeta { name: "A".to_owned(), labels, annotations });
    let none = BTreeMap::new;
    assert_eq!(errors(&Slo { page: page(with("a", ""), none()), ..slo() }, &SLOTH), ["label-empty"]);
    assert_eq!(errors(&Slo { page: page(none(), with("a", "")), ..slo() }, &SLOTH), ["annotation-empty"]);
    assert_eq!(errors(&Slo { page: page(none(), with("", "x")), ..slo() }, &SLOTH), ["annotation-name"]);
    assert_eq!(errors(&Slo { page: page(none(), with("__name__", "x")), ..slo() }, &SLOTH), [""; 0]);
    assert_eq!(
        codes(&Slo { page: page(none(), with("a", "{{ $value")), ..slo() }, &LEAN),
        ["annotation-template"]
    );
    assert_eq!(
        codes(&Slo { page: page(with("sloth_severity", "x"), none()), ..slo() }, &LEAN),
        ["label-severity"]
    );
}

#[test]
fn the_alert_name_is_needed_only_for_alerts() {
    let nameless = Some(AlertMeta::default());
    assert_eq!(
        codes(&Slo { page: nameless.clone(), ticket: nameless, ..slo() }, &LEAN),
        ["alert-name-required"]
    );
    assert_eq!(codes(&Slo { page: None, ticket: None, ..slo() }, &LEAN), [""; 0]);
}

#[test]
fn queries_must_be_there_differ_and_use_the_window() {
    let total = "rate(b[{{.window}}])";
    assert_eq!(codes(&Slo { sli: events(total, total), ..slo() }, &LEAN), ["queries-equal"]);
    assert_eq!(
        codes(&Slo { sli: events("rate( b[{{.window}}])", total), ..slo() }, &LEAN),
        ["queries-alike"]
    );
    assert_eq!(codes(&Slo { sli: events(" ", total), ..slo() }, &LEAN), ["query-required"]);
    assert_eq!(codes(&Slo { sli: events("rate(a[5m])", total), ..slo() }, &LEAN), ["query-window"]);
    for (spelling, sloth) in [("{{- .window}}", true), ("{{\t.window}}", true), ("{{  .window  }}", false)] {
        let sli = raw(&format!("rate(a[{spelling}])"));
        let expected: &[&str] = if sloth { &["query-window-spelling"] } else { &[] };
        assert_eq!(codes(&Slo { sli: sli.clone(), ..slo() }, &SLOTH), expected, "{spelling}");
        assert_eq!(codes(&Slo { sli, ..slo() }, &LEAN), [""; 0], "{spelling}");
    }
    let good_total = |good: &str, total: &str| Sli::GoodTotal {
        good: Query(good.to_owned()),
        total: Query(total.to_owned()),
    };
    assert_eq!(
        codes(&Slo { sli: good_total("rate(a[{{.window}}])", "vector(1)"), ..slo() }, &SLOTH),
        [""; 0]
    );
    assert_eq!(codes(&Slo { sli: good_total("a", "vector(1)"), ..slo() }, &SLOTH), ["query-window"; 2]);
    assert_eq!(errors(&Slo { sli: good_total(total, total), ..slo() }, &SLOTH), [""; 0]);
}

#[test]
fn a_query_error_knows_its_place_in_the_template() {
    let query = "sum(rate(a{b=~\"(\"}[{{ .window }}])) / foo(c[{{ .window }}])";
    let findings = check(&Slo { sli: raw(query), ..slo() }, &LEAN);
    assert_eq!((findings[0].code, findings[0].offset), ("query-promql", query.find("\"(\"")));
    let query = "sum(rate(a[{{ .window }}])) / foo(c[{{ .window }}])";
    let findings = check(&Slo { sli: raw(query), ..slo() }, &LEAN);
    assert_eq!(findings[0].message, "there is no function `foo`");
    assert_eq!(findings[0].offset, query.find("foo"));
    let query = "sum(rate(a{x=\"{{ $labels.x }}\"}[{{ .window }}]))";
    let findings = check(&Slo { sli: raw(query), ..slo() }, &LEAN);
    assert_eq!((findings[0].code, findings[0].offset), ("query-template", Some(14)));
}

#[test]
fn promql_can_be_warned_about_or_left_alone() {
    let broken = Slo { sli: raw("rate(a[{{.window}}]) +"), ..slo() };
    assert_eq!(errors(&broken, &LEAN), ["query-promql"]);
    let warned = check(&broken, &CheckOptions { promql: PromqlCheck::Warn, ..LEAN });
    assert_eq!((warned[0].code, warned[0].severity), ("query-promql", Severity::Warning));
    assert_eq!(check(&broken, &CheckOptions { promql: PromqlCheck::Off, ..LEAN }), []);
}

#[test]
fn what_no_rule_can_record_is_refused() {
    assert_eq!(codes(&Slo { sli: raw("a[{{.window}}]"), ..slo() }, &SLOTH), ["query-type"]);
    assert_eq!(
        codes(&Slo { sli: raw("\"{{.window}}\""), ..slo() }, &SLOTH),
        ["query-type", "window-in-string"]
    );
    for comment in ["a[{{.window}}]) # x", "a[{{.window}}]) # \"x"] {
        let sli = raw(&format!("rate({comment}"));
        assert_eq!(codes(&Slo { sli: sli.clone(), ..slo() }, &SLOTH), ["query-comment"]);
        assert_eq!(codes(&Slo { sli, ..slo() }, &LEAN), [""; 0]);
    }
    for fine in ["rate(a[{{.window}}]) # x\n", "rate(a{b=\"#\"}[{{.window}}])", "# x\nrate(a[{{.window}}])"] {
        assert_eq!(codes(&Slo { sli: raw(fine), ..slo() }, &SLOTH), [""; 0], "{fine}");
    }
}

#[test]
fn suspicious_queries_are_remarked_on() {
    for (query, code) in [
        ("rate(memory_usage[{{.window}}])", "rate-of-gauge"),
        ("rate(a{code=\"5..|4..\"}[{{.window}}])", "matcher-literal"),
        ("rate(a{code=\"5.*\"}[{{.window}}])", "matcher-literal"),
        ("rate(a{b=\"{{.window}}\"}[5m])", "window-in-string"),
    ] {
        let slo = Slo { sli: raw(query), ..slo() };
        assert_eq!(codes(&slo, &LEAN), [code], "{query}");
        assert_eq!(codes(&slo, &CheckOptions { lints: false, ..LEAN }), [""; 0]);
    }
}

#[test]
fn matchers_that_exclude_each_other_are_remarked_on() {
    let lints = CheckOptions { lints: true, ..CheckOptions::default() };
    let never = |query: &str| codes(&Slo { sli: raw(query), ..slo() }, &lints).contains(&"matcher-never");
    for query in [
        r#"sum(rate(x{a="b", a="c"}[{{.window}}]))"#,
        r#"sum(rate(x{a="b", c=~"d", a!='b'}[{{.window}}]))"#,
        r#"sum(rate(y{a="b"}[{{.window}}])) + sum(rate(x{a!="b", a="b"}[{{.window}}]))"#,
    ] {
        assert!(never(query), "{query}");
    }
    for query in [
        r#"sum(rate(x{a="b", a='b'}[{{.window}}]))"#,
        r#"sum(rate(x{a!="b", a!="c", b="c"}[{{.window}}]))"#,
        r#"sum(rate(x{a="b"}[{{.window}}])) / sum(rate(x{a="c"}[{{.window}}]))"#,
        r#"sum(rate(x{a="b", a=~"c"}[{{.window}}]))"#,
    ] {
        assert!(!never(query), "{query}");
    }
}

#[test]
fn every_error_is_reported_at_once() {
    let bad = Slo {
        service: String::new(),
        objective: 0.0,
        labels: BTreeMap::from([("a".to_owned(), String::new())]),
        sli: events("", "x["),
        page: Some(AlertMeta::default()),
        ..slo()
    };
    let found = check(&bad, &LEAN);
    assert_eq!(
        found.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        [
            "name-required",
            "objective-range",
            "label-empty",
            "query-required",
            "query-window",
            "query-promql",
            "alert-name-required"
        ]
    );
    for finding in &found {
        assert!(
            !finding.message.ends_with('.') && !finding.message.starts_with(char::is_uppercase),
            "{}",
            finding.message
        );
    }
    assert!(found.iter().any(|finding| finding.field == Field::AlertName));
    assert!(!found.iter().any(|finding| finding.field == Field::Alert(Tier::Page)));
}

proptest::proptest! {
    /// No text makes the check panic, and places lie inside the query.
    #[test]
    fn any_text_can_be_checked(query in "\\PC{0,40}|[a-z(){}\\[\\]\"'`\\\\ .$#=~!0-9:@+*-]{0,40}", profile in proptest::bool::ANY) {
        let options = if profile { LEAN } else { SLOTH };
        let query = format!("{query}{{{{.window}}}}");
        for finding in check(&Slo { sli: raw(&query), ..slo() }, &options) {
            if let Some(offset) = finding.offset {
                proptest::prop_assert!(query.is_char_boundary(offset));
            }
        }
    }
}
