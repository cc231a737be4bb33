//! What the demo prints: readable in a terminal and in a file.

use std::io::IsTerminal;

use crate::{Bed, Notification};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "1;32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// Width of the burn rate bar: a thousand times the allowed rate fills it.
const BAR: usize = 24;

/// One line of the live table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    /// Seconds since the story began.
    pub(crate) second: u64,
    /// Burn rate of the broken SLO over the shortest window; `None` while unknown.
    pub(crate) burn: Option<f64>,
    /// Share of requests that fail, over the shortest window.
    pub(crate) failing: Option<f64>,
    /// Largest burn rate of all other SLOs.
    pub(crate) others: Option<f64>,
    /// Whether its page and its ticket fire in Prometheus.
    pub(crate) page: bool,
    /// See `page`.
    pub(crate) ticket: bool,
}

/// Standard output, with colours on a terminal.
#[derive(Debug)]
pub(crate) struct Screen {
    colours: bool,
}

impl Screen {
    /// Colours only on a terminal, and not with `NO_COLOR`.
    pub(crate) fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colours: std::io::stdout().is_terminal() && !refused }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn title(&self, title: &str, under: &str) {
        println!("\n  {}   {}\n", self.paint(BOLD, title), self.paint(DIM, under));
    }

    pub(crate) fn command(&self, command: &str) {
        println!("  {} {}", self.paint(DIM, "$"), self.paint(CYAN, command));
    }

    pub(crate) fn say(&self, text: &str) {
        println!("    {text}");
    }

    pub(crate) fn step(&self, name: &str, url: &str, what: &str) {
        println!("  {}  {url:<32} {}", self.paint(BOLD, &format!("{name:<13}")), self.paint(DIM, what));
    }

    pub(crate) fn chapter(&self, second: u64, text: &str) {
        println!("\n  {}  {}\n", self.paint(DIM, &clock(second)), self.paint(BOLD, text));
    }

    pub(crate) fn table_head(&self) {
        let head = format!(
            "  {:>4}  {:<34}  {:>7}  {:>11}  {:<8} {:<8}",
            "time", "checkout burns its error budget", "failing", "others burn", "page", "ticket"
        );
        println!("{}", self.paint(DIM, &head));
    }

    pub(crate) fn moment(&self, now: &Moment) {
        let rate = |rate: Option<f64>| rate.map_or("?".to_owned(), |rate| format!("{rate:.1}x"));
        let burn = now.burn.unwrap_or_default();
        let colour = match burn {
            burn if burn > 14.4 => RED,
            burn if burn > 1.0 => YELLOW,
            _ => GREEN,
        };
        let failing = now.failing.map_or("?".to_owned(), |share| format!("{:.1}%", share * 100.0));
        let state = |fires: bool| {
            if fires {
                self.paint(RED, &format!("{:<8}", "FIRING"))
            } else {
                self.paint(DIM, &format!("{:<8}", "quiet"))
            }
        };
        println!(
            "  {}  {} {:>9}  {failing:>7}  {:>11}  {} {}",
            self.paint(DIM, &clock(now.second)),
            self.paint(colour, &bar(burn)),
            rate(now.burn),
            rate(now.others),
            state(now.page),
            state(now.ticket),
        );
    }

    /// A notification as the receiver got it.
    pub(crate) fn notification(&self, title: &str, notification: &Notification) {
        let colour = if notification.is_firing() { RED } else { GREEN };
        let edge = self.paint(colour, "┃");
        println!("\n  {edge} {}", self.paint(colour, title));
        for (name, value) in &notification.labels {
            println!("  {edge}   {name}={}", self.paint(BOLD, value));
        }
        for (name, value) in &notification.annotations {
            println!("  {edge}   {}", self.paint(DIM, &format!("{name}: {value}")));
        }
        println!();
    }

    pub(crate) fn good(&self, text: &str) {
        println!("  {} {text}", self.paint(GREEN, "✓"));
    }

    pub(crate) fn invite(&self, bed: &Bed) {
        println!("\n  {}", self.paint(BOLD, "Everything goes on running. Look around:"));
        println!("    alerts         {}/alerts", bed.prometheus.url());
        println!(
            "    burn rates     {}/graph?g0.expr=slo%3Acurrent_burn_rate%3Aratio&g0.tab=0&g0.range_input=5m",
            bed.prometheus.url()
        );
        println!("    notifications  {}", bed.receiver.url(""));
        let change = r#"{"service": "search", "latency_factor": 8}"#;
        println!("    break more     curl -d '{change}' http://{}/control", bed.shop.address());
        println!("\n  {}", self.paint(DIM, "Ctrl-C stops what was started."));
    }

    pub(crate) fn stopped(&self) {
        println!("\n  {}", self.paint(DIM, "stopping the servers"));
    }
}

fn clock(second: u64) -> String {
    format!("{}:{:02}", second / 60, second % 60)
}

/// Logarithmic: from the allowed rate to a thousand times as fast.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0 to BAR"
)]
fn bar(burn: f64) -> String {
    let share = (burn.max(0.0) + 1.0).log10() / 3.0;
    let filled = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_empty_at_rest_and_full_at_a_thousand() {
        assert_eq!(bar(0.0).matches('█').count(), 0);
        assert_eq!(bar(999.0).matches('█').count(), BAR);
        assert_eq!(bar(f64::INFINITY).matches('█').count(), BAR);
        assert_eq!(bar(30.6).matches('█').count(), BAR / 2);
    }

    #[test]
    fn the_clock_counts_minutes() {
        assert_eq!(clock(125), "2:05");
    }
}
