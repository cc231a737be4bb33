//! The sections of the file beside its rules.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use daemon_kit::source::Span;
use quota_enforcer_core::policy::{Caps, Evidence, Pattern, Protected};
use quota_enforcer_core::quota::Key;
use regex_lite::Regex;

use super::check::Check;
use super::file::{self, Text};
use super::profile::{self, Profile, Scraped};
use super::selector::{check_matchers, check_selector};
use super::value::{Count, LabelName, Line, Number, Share, Time, Topic, Url};
use super::{Admin, Baseline, Ledger, Prometheus, path, protected as hard};

const fn days(days: u64) -> Time {
    Time(Duration::from_secs(days * 86_400))
}

pub(super) fn prometheus(check: &mut Check<'_>, given: &file::Prometheus) -> Option<Prometheus> {
    let url: Option<Url> = check.needed(&given.url, "prometheus.url", Span::default());
    without_credentials(check, url.as_ref(), &given.url, "write `user` and `password_file`");
    let file = |check: &mut Check<'_>, text| check.read::<Line>(text).map(|line| path(&line));
    let token_file: Option<PathBuf> = file(check, &given.token_file);
    let password_file = file(check, &given.password_file);
    let user: Option<Line> = check.read(&given.user);
    if let (Some(_), Some(text)) = (&token_file, given.user.as_ref().or(given.password_file.as_ref())) {
        check.error(text, "conflict", "a token and a user are given", "use one of them");
    }
    let alone = match (&given.user, &given.password_file) {
        (Some(text), None) => Some((text, "`user` stands without `password_file`")),
        (None, Some(text)) => Some((text, "`password_file` stands without `user`")),
        _ => None,
    };
    if let Some((text, message)) = alone {
        check.error(text, "conflict", message, "basic authentication needs both");
    }
    let ca_file = file(check, &given.ca_file);
    let tenant = check.read::<Line>(&given.tenant).map(|tenant| tenant.0);
    let Time(timeout) = check.or(&given.timeout, Time(Duration::from_secs(10)));
    let basic = user.map(|user| user.0).zip(password_file);
    Some(Prometheus { url: url?.0, token_file, basic, tenant, ca_file, timeout })
}

pub(super) fn profile(check: &mut Check<'_>, given: &file::Metrics) -> Profile {
    let mut profile = match &given.profile {
        Some(text) if text.value == "custom" => Profile::bare(),
        Some(text) => Profile::preset(&text.value).unwrap_or_else(|| {
            let help = format!("write {} or custom", profile::PRESETS.join(", "));
            check.error(text, "value", format!("`{}` is no metric profile", text.value), &help);
            Profile::bare()
        }),
        None => Profile::preset(profile::PRESETS[0]).unwrap_or_else(Profile::bare),
    };
    let series = [
        (Key::ProducerByteRate, &given.produce),
        (Key::ConsumerByteRate, &given.consume),
        (Key::RequestPercentage, &given.request_time),
    ];
    for (key, text) in series {
        let Some(text) = text else { continue };
        promql(
            check,
            text,
            check_selector(&text.value),
            "write a metric with matchers, such as `m{a=\"b\"}`",
        );
        profile.series.insert(key, text.value.clone());
    }
    if let Some(text) = &given.scraped {
        let help = "write a selector and its value when a scrape was good, such as `up{job=\"kafka\"} == 1`";
        let read = text.value.rsplit_once("==").map(|(selector, good)| (selector.trim(), good.trim()));
        match read.map(|(selector, good)| (selector, good.parse::<f64>())) {
            Some((selector, Ok(good))) if good.is_finite() => {
                promql(check, text, check_selector(selector), help);
                profile.scraped = Scraped { selector: selector.to_owned(), good };
            }
            _ => check.error(text, "value", format!("`{}` is no comparison", text.value), help),
        }
    }
    if let Some(text) = &given.matchers {
        let checked = check_matchers(&text.value);
        if checked.is_ok() {
            let narrow = |selector: &mut String| *selector = profile::narrowed(selector, &text.value);
            profile.series.values_mut().for_each(narrow);
            narrow(&mut profile.scraped.selector);
        }
        promql(check, text, checked, "write label matchers without braces, such as `cluster=\"prod\"`");
    }
    let label = |check: &mut Check<'_>, text, default: &mut String| {
        if let Some(LabelName(name)) = check.read(text) {
            *default = name;
        }
    };
    label(check, &given.user_label, &mut profile.user_label);
    label(check, &given.client_id_label, &mut profile.client_id_label);
    label(check, &given.broker.label, &mut profile.broker.label);
    profile.names = check.or(&given.names, profile.names);
    if let Some(text) = &given.broker.pattern {
        match Regex::new(&text.value) {
            Ok(pattern) if pattern.captures_len() >= 2 => profile.broker.pattern = Some(pattern),
            Ok(_) => {
                check.error(
                    text,
                    "value",
                    "the pattern has no group",
                    "its first group is the broker's id, such as `kafka-(\\d+)`",
                );
            }
            Err(error) => {
                check.error(text, "value", format!("the pattern is no regular expression: {error}"), "")
            }
        }
    }
    for (value, text) in &given.broker.ids {
        match text.value.parse::<i32>() {
            Ok(id) if id >= 0 => {
                profile.broker.ids.insert(value.clone(), id);
            }
            _ => check.error(
                text,
                "value",
                format!("`{}` is no broker id", text.value),
                "write the broker's node.id",
            ),
        }
    }
    profile
}

/// Tells what is wrong with PromQL; the parser knows no place in it.
pub(super) fn promql(check: &mut Check<'_>, text: &Text, checked: Result<(), String>, help: &str) {
    if let Err(why) = checked {
        let why = why.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
        check.error(text, "promql", format!("the PromQL is wrong: {why}"), help);
    }
}

pub(super) fn evidence(check: &mut Check<'_>, given: &file::Evidence) -> Evidence {
    let Time(scrape_interval) = check.or(&given.scrape_interval, Time(Duration::from_secs(15)));
    let Time(max_age) = check.or(&given.max_age, Time(scrape_interval.saturating_mul(3)));
    let Share(coverage) = check.or(&given.coverage, Share(1.0));
    let Count(settle_scrapes) = check.or(&given.settle_scrapes, Count(2));
    if let Some(text) = &given.max_age
        && max_age < scrape_interval
    {
        let message = format!(
            "evidence is too old before the next scrape: max_age {} is less than scrape_interval {}",
            Time(max_age),
            Time(scrape_interval)
        );
        check.error(text, "max-age", message, "three scrape intervals are a good choice");
    }
    Evidence { max_age, coverage, scrape_interval, settle_scrapes }
}

pub(super) fn baseline(check: &mut Check<'_>, given: &file::Baseline) -> Baseline {
    let Time(window) = check.or(&given.window, days(28));
    let Time(step) = check.or(&given.step, Time(Duration::from_secs(3_600)));
    let Time(history) = check.or(&given.history, Time(days(3).0.min(window)));
    let Time(refresh) = check.or(&given.refresh, Time(Duration::from_secs(6 * 3_600)));
    let Time(timeout) = check.or(&given.timeout, Time(Duration::from_secs(60)));
    let points = window.as_millis() / step.as_millis().max(1);
    if let Some(text) = given.step.as_ref().or(given.window.as_ref())
        && !(3..=2_000).contains(&points)
    {
        let message = format!("a baseline of {points} points a client");
        check.error(text, "baseline", message, "choose window and step so that there are 3 to 2000");
    }
    if let Some(text) = &given.history
        && history > window
    {
        let message = format!("no client has a history of {} in a window of {}", Time(history), Time(window));
        check.error(text, "baseline", message, "write a shorter history or a longer window");
    }
    Baseline { window, step, history, refresh, timeout }
}

pub(super) fn ledger(check: &mut Check<'_>, given: &file::Ledger) -> Ledger {
    let topic = |name: &str| Topic(name.to_owned());
    let Topic(ledger) = check.or(&given.topic, topic("backstop.quota.ledger"));
    let Topic(audit_topic) = check.or(&given.audit_topic, topic("backstop.quota.audit"));
    if let Some(text) = given.audit_topic.as_ref().or(given.topic.as_ref())
        && ledger == audit_topic
    {
        let message = "ledger and audit are the same topic";
        check.error(text, "ledger", message, "one is compacted, the other is not: name two topics");
    }
    let Count(replication) = check.or(&given.replication, Count(3));
    let Count(min_insync_replicas) =
        check.or(&given.min_insync_replicas, Count(if replication < 3 { 1 } else { 2 }));
    if let Some(text) = given.min_insync_replicas.as_ref()
        && min_insync_replicas > replication
    {
        let message = format!("{min_insync_replicas} replicas in sync of {replication}: no write succeeds");
        check.error(text, "ledger", message, "write one less than the replication factor");
    } else if let Some(text) = given.min_insync_replicas.as_ref()
        && min_insync_replicas == replication
        && replication > 1
    {
        let message = format!(
            "with {replication} replicas in sync of {replication}, no write succeeds while a broker is down"
        );
        check.warning(text, "ledger", message, "write one less than the replication factor");
    }
    let Time(audit_retention) = check.or(&given.audit_retention, days(3 * 365));
    let Time(lease) = check.or(&given.lease, Time(Duration::from_secs(15)));
    if let Some(text) = &given.lease
        && !(Duration::from_secs(2)..=Duration::from_secs(120)).contains(&lease)
    {
        check.error(text, "ledger", format!("a lease of {}", Time(lease)), "write 2s to 2m");
    }
    Ledger { topic: ledger, audit_topic, replication, min_insync_replicas, audit_retention, lease }
}

/// Faster it only costs, slower the watchers of a daemon that stands still take it for one.
pub(super) fn tick(check: &mut Check<'_>, given: &Option<Text>) -> Duration {
    let Time(tick) = check.or(given, Time(Duration::from_secs(5)));
    if let Some(text) = given
        && !(Duration::from_millis(250)..=Duration::from_secs(30)).contains(&tick)
    {
        check.error(text, "tick", format!("a tick of {}", Time(tick)), "write 250ms to 30s");
    }
    tick
}

/// Shorter pauses cannot be had with the brokers' window, longer ones come near the clients' request timeout of 30 s.
pub(super) fn mute(check: &mut Check<'_>, given: &Option<Text>) -> Duration {
    let Time(mute) = check.or(given, Time(Duration::from_secs(10)));
    if let Some(text) = given
        && !(Duration::from_secs(3)..=Duration::from_secs(20)).contains(&mute)
    {
        let message = format!("a mute bound of {}", Time(mute));
        check.error(text, "mute", message, "write 3s to 20s: well under the clients' request timeout of 30s");
    }
    mute
}

pub(super) fn admin(check: &mut Check<'_>, given: &file::Admin) -> Admin {
    let listen = check.or(&given.listen, SocketAddr::from((Ipv4Addr::LOCALHOST, 9620)));
    let token_file = check.read::<Line>(&given.token_file).map(|line| path(&line));
    let advertise: Option<Url> = check.read(&given.advertise);
    without_credentials(
        check,
        advertise.as_ref(),
        &given.advertise,
        "leave it out: whoever asks brings the token",
    );
    Admin { listen, token_file, advertise: advertise.map(|url| url.0) }
}

pub(super) fn caps(check: &mut Check<'_>, given: &file::Caps) -> Caps {
    let Count(throttles) = check.or(&given.throttles, Count(10));
    let Share(share_of_clients) = check.or(&given.share_of_clients, Share(0.1));
    let Share(share_of_traffic) = check.or(&given.share_of_traffic, Share(0.8));
    let Count(changes) = check.or(&given.changes_per_minute, Count(20));
    Caps {
        throttles: throttles as usize,
        share_of_clients,
        share_of_traffic,
        changes_per_minute: changes as usize,
    }
}

/// The hard list and what the file adds.
pub(super) fn protected(check: &mut Check<'_>, given: &file::Names) -> Protected {
    let mut protected = hard::hard();
    protected.users.extend(patterns(check, given.users.as_deref().unwrap_or_default()));
    protected.client_ids.extend(patterns(check, &given.client_ids));
    protected
}

/// Names; warns of what only regular expressions have. A plus sign also joins the parts of a distinguished name.
pub(super) fn patterns(check: &mut Check<'_>, given: &[Text]) -> Vec<Pattern> {
    for text in given {
        let literal = |c: char| "[(|^$".contains(c) || (c == '+' && !text.value.contains('='));
        if let Some(literal) = text.value.chars().find(|c| literal(*c)) {
            let message = format!("`{}` is no regular expression: {literal} stands for itself", text.value);
            check.warning(text, "pattern", message, "only `*` (any characters) and `?` (one) are special");
        }
    }
    given.iter().filter_map(|text| check.value(text)).collect()
}

/// An address is shown and stored: no password in it.
fn without_credentials(check: &mut Check<'_>, url: Option<&Url>, text: &Option<Text>, help: &str) {
    if let (Some(url), Some(text)) = (url, text)
        && url.0.contains('@')
    {
        check.secret(text, "the address may hold a password", help);
    }
}

/// A burn rate.
pub(super) fn burn_rate(check: &mut Check<'_>, text: &Option<Text>, of: Span) -> Option<f64> {
    check.needed(text, "when.burn_rate", of).map(|Number(burn)| burn)
}
