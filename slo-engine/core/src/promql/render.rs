//! Text of a counted query for one base window.

use promql_parser::parser::Expr;

use super::classify::is_idle_filter;
use super::{CountClass, SENTINEL, with_window};
use crate::PromDuration;

/// The query in parentheses, safe against a trailing comment.
#[must_use]
pub fn wrap(query: &str) -> String {
    let query = query.trim();
    if query.contains('#') { format!("({query}\n)") } else { format!("({query})") }
}

/// PromQL that counts the events of one base window ending now.
///
/// Adjacent windows of `rate` and `increase` lose each pair of scrapes that straddles their boundary; a range of base plus
/// one scrape interval covers every pair exactly once, and the result is scaled back. One millisecond less keeps the number
/// of samples the same whether a range includes both its ends (Prometheus 2) or not (Prometheus 3), also when scrapes fall
/// exactly on evaluations. Counts of samples want exactly one base window.
#[must_use]
pub fn base_count(template: &str, class: CountClass, base: PromDuration, scrape: PromDuration) -> String {
    let stretched = stretched(base, scrape);
    match class {
        CountClass::Rate => format!("{} * {}", wrap(&with_window(template, stretched)), base.as_secs_f64()),
        CountClass::Increase => format!(
            "{} * {} / {}",
            wrap(&with_window(template, stretched)),
            base.as_secs_f64(),
            stretched.as_secs_f64()
        ),
        CountClass::Samples => {
            wrap(&with_window(template, PromDuration::from_millis(base.as_millis().saturating_sub(1))))
        }
    }
}

/// The range of a base window that covers every pair of scrapes once.
#[must_use]
pub fn stretched(base: PromDuration, scrape: PromDuration) -> PromDuration {
    PromDuration::from_millis((base.as_millis() + scrape.as_millis()).saturating_sub(1))
}

/// The query without a final `> 0`: where zero events are a number like any other, hiding them would make an idle service
/// look like one that was not observed.
#[must_use]
pub fn drop_idle_filter(template: &str) -> &str {
    let mut text = template.trim();
    loop {
        // Parsing is dear, and most queries have nothing to drop.
        if !text.contains('>') && !text.starts_with('(') {
            return text;
        }
        let inner = match parsed(text) {
            Some(Expr::Paren(paren)) => text
                .strip_prefix('(')
                .and_then(|t| t.strip_suffix(')'))
                .filter(|inner| parsed(inner).as_ref() == Some(paren.expr.as_ref())),
            Some(Expr::Binary(binary)) if is_idle_filter(&binary) => text
                .rfind('>')
                .and_then(|at| text.get(..at))
                .filter(|inner| parsed(inner).as_ref() == Some(binary.lhs.as_ref())),
            _ => None,
        };
        match inner {
            Some(inner) => text = inner.trim(),
            None => return text,
        }
    }
}

fn parsed(text: &str) -> Option<Expr> {
    promql_parser::parser::parse(&with_window(text, SENTINEL)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_final_idle_filter_is_dropped() {
        for (given, kept) in [
            ("sum(rate(x[{{.window}}])) > 0", "sum(rate(x[{{.window}}]))"),
            (" (sum(rate(x[{{ .window }}])) > 0.0) ", "sum(rate(x[{{ .window }}]))"),
            ("(sum(rate(x[{{.window}}])))", "sum(rate(x[{{.window}}]))"),
            ("(a > 0) + (b > 0)", "(a > 0) + (b > 0)"),
            ("a > 1", "a > 1"),
            ("a > bool 0", "a > bool 0"),
            ("a > 0 # busy", "a"),
            ("((a + b > 0))", "a + b"),
            ("not promql (", "not promql ("),
        ] {
            assert_eq!(drop_idle_filter(given), kept, "{given}");
        }
    }

    #[test]
    fn one_scrape_interval_is_added_and_scaled_away() {
        let (b, s) = (PromDuration::from_secs(300), PromDuration::from_secs(30));
        let rate = base_count("sum(rate(x[{{.window}}]))", CountClass::Rate, b, s);
        assert_eq!(rate, "(sum(rate(x[5m29s999ms]))) * 300");
        let increase = base_count("sum(increase(x[{{ .window }}]))", CountClass::Increase, b, s);
        assert_eq!(increase, "(sum(increase(x[5m29s999ms]))) * 300 / 329.999");
        let samples = base_count("count_over_time(x[{{.window}}]) # all", CountClass::Samples, b, s);
        assert_eq!(samples, "(count_over_time(x[4m59s999ms]) # all\n)");
    }
}
