//! Text of a counted query for one base window.

use super::{CountClass, with_window};
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
    let stretched = PromDuration::from_millis((base.as_millis() + scrape.as_millis()).saturating_sub(1));
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

#[cfg(test)]
mod tests {
    use super::*;

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
