//! Rules.

mod bound;

use std::collections::BTreeMap;
use std::time::Duration;

use daemon_kit::config::Spanned;
use daemon_kit::diagnostic::Diagnostic;
use daemon_kit::source::Span;
use quota_enforcer_core::entity::Kind;
use quota_enforcer_core::policy::{
    BudgetGuard, Confirm, HoldTimes, Measure, Mode, Pattern, Protected, Rule, Select,
};
use quota_enforcer_core::quota::Key;

use super::check::Check;
use super::file::{self, Text};
use super::profile::Profile;
use super::protected::covers;
use super::sections::{burn_rate, patterns, promql};
use super::selector::check_query;
use super::value::{Amount, Count, Least, Line, RuleName, Time, Unit, Url};
pub(super) use bound::SENTINEL_FROM;
use bound::{Safe, burst, fits, misfit};

/// What all rules are checked against.
struct Context<'a> {
    protected: &'a Protected,
    profile: &'a Profile,
    mute: Duration,
}

/// All rules that can be read.
pub(super) fn rules(
    check: &mut Check<'_>,
    given: Option<&[Spanned<file::Rule>]>,
    protected: &Protected,
    profile: &Profile,
    mute: Duration,
) -> Vec<Rule> {
    let Some(given) = given else {
        missing(check);
        return Vec::new();
    };
    let context = Context { protected, profile, mute };
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    for rule in given {
        let Some(name) = &rule.value.name else { continue };
        let here = check.place(name);
        match names.get(name.value.as_str()) {
            None => drop(names.insert(&name.value, here)),
            Some(first) => {
                let message = format!("a second rule is called `{}`", name.value);
                let diagnostic = Diagnostic::error("duplicate", message).at(check.source, here);
                let diagnostic = diagnostic.related(check.source, *first, "the first one");
                check.add(diagnostic);
            }
        }
    }
    let mut rules: Vec<Rule> = Vec::new();
    for given in given {
        let Some(rule) = read(check, given, &context) else { continue };
        if let (Some(first), Some(name)) = (rules.iter().find(|first| alike(first, &rule)), &given.value.name)
        {
            let message = format!("rule {} selects the same as rule {}", rule.name, first.name);
            let help = "of those that want to act on a client's quota, the first does";
            check.warning(name, "alike", message, help);
        }
        rules.push(rule);
    }
    rules
}

/// A file that was cut off would release whatever is held.
fn missing(check: &mut Check<'_>) {
    let text = check.source.text();
    let at = text.match_indices("rules:").map(|(at, _)| at).find(|at| {
        text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(['\n', '\u{feff}']))
    });
    let at = at.and_then(|at| u32::try_from(at).ok());
    let (at, message) = match at {
        Some(start) => (Span { start, end: start + 5 }, "`rules` is empty"),
        None => (Span::default(), "`rules` is missing"),
    };
    let help = "write `rules: []` for none: whatever is held is released then";
    check.add(Diagnostic::error("missing", message).at(check.source, at).help(help));
}

/// Whether both speak of the same clients and quota under the same conditions. A rule that only watches may stand beside one
/// that acts.
fn alike(one: &Rule, other: &Rule) -> bool {
    // Two of one name are told already.
    let two = one.name != other.name;
    two && (&one.select, one.entity, one.key, one.mode, &one.when)
        == (&other.select, other.entity, other.key, other.mode, &other.when)
}

fn read(check: &mut Check<'_>, given: &Spanned<file::Rule>, context: &Context<'_>) -> Option<Rule> {
    let (of, given) = (check.place(given), &given.value);
    let name: Option<RuleName> = check.needed(&given.name, "name", of);
    let owner = check.read::<Line>(&given.owner).map(|owner| owner.0);
    let runbook_url = check.read::<Url>(&given.runbook_url).map(|url| url.0);
    let mode = check.or(&given.mode, Mode::Observe);
    let entity: Option<Kind> = check.needed(&given.entity, "entity", of);
    let select = select(check, given, of, entity, context.protected);
    let key: Option<Key> = check.needed(&given.measure, "measure", of);
    if let (Some(key), Some(text)) = (key, &given.measure)
        && !context.profile.series.contains_key(&key)
    {
        let message = format!("the metric profile has no series for {}", text.value);
        check.error(text, "profile", message, "name its selector under `metrics:`");
    }
    let query = given.query.as_ref().map(|text| {
        promql(check, text, check_query(&text.value), "write a query that yields one value per entity");
        text.value.clone()
    });
    let enter: Option<Amount> = check.needed(&given.enter, "enter", of);
    let release = release(check, given, enter);
    let measure = match (key, enter, &given.enter) {
        (Some(key), Some(enter), Some(text)) => measure(check, text, key, enter, query),
        _ => None,
    };
    let confirm = check.or(&given.confirm, Confirm { k: 3, n: 5 });
    if let Some(text) = &given.confirm
        && confirm.k > confirm.n
    {
        check.error(
            text,
            "confirm",
            format!("{} of only {} samples", confirm.k, confirm.n),
            "write k of n with k up to n",
        );
    }
    let hold = hold(check, &given.hold);
    let when = given.when.as_ref().and_then(|when| {
        let at = check.place(when);
        let slo = check.needed::<Line>(&when.value.slo, "when.slo", at);
        let burn = burn_rate(check, &when.value.burn_rate, at);
        Some(BudgetGuard { slo: slo?.0, burn: burn? })
    });
    if given.limit.is_none() {
        check.missing("limit", of, "write what a client gets, such as `10MB/s`, `2MB/s per broker`, `10% of cluster` or `1.5x baseline`");
    }
    let (count, bytes) = (check.read(&given.burst.connections), check.read(&given.burst.request_bytes));
    let floor = given.floor.as_ref().zip(check.read::<Least>(&given.floor));
    let [limit, sentinel] =
        [&given.limit, &given.sentinel].map(|text| text.as_ref().zip(check.read::<Amount>(text)));
    let key = key?;
    let burst = burst(key, count, bytes);
    let safe = Safe { key, burst, mute: context.mute };
    let floor = bound::floor(check, floor, enter, limit.map(|(_, limit)| limit), &safe);
    let limit = limit.and_then(|limit| bound::limit(check, limit, enter, &safe));
    let sentinel = sentinel.map(|sentinel| bound::sentinel(check, sentinel, key, entity, mode));
    let (enter, release) = (enter?.value, release?);
    Some(Rule {
        name: name?.0,
        select: select?,
        entity: entity?,
        key,
        measure: measure?,
        enter,
        release,
        confirm,
        mode,
        limit: limit?,
        floor,
        hold,
        when,
        sentinel,
        burst,
        owner,
        runbook_url,
    })
}

fn select(
    check: &mut Check<'_>,
    given: &file::Rule,
    of: Span,
    entity: Option<Kind>,
    protected: &Protected,
) -> Option<Select> {
    let help = "write `select: {users: [\"*\"]}` or `select: {client_ids: [\"app-*\"]}`";
    let Some(text) = &given.select else {
        check.missing("select", of, help);
        return None;
    };
    let select = Select {
        users: patterns(check, text.value.users.as_deref().unwrap_or_default()),
        client_ids: patterns(check, &text.value.client_ids),
    };
    let names = &text.value;
    if names.users.as_deref().unwrap_or_default().is_empty() && names.client_ids.is_empty() {
        check.error(text, "select", "nobody is selected", help);
    }
    // An entity without the part that a list is about is never selected.
    let deaf = match entity {
        Some(Kind::User) => names.client_ids.first().map(|first| (first, "client_ids", "user")),
        Some(Kind::ClientId) => {
            names.users.iter().flatten().next().map(|first| (first, "users", "client-id"))
        }
        _ => None,
    };
    if let Some((first, list, entity)) = deaf {
        let message = format!("an entity of kind {entity} is never selected by {list}");
        check.error(first, "select", message, "leave the list out, or write entity: user+client-id");
    }
    let only_protected = |list: &[Pattern], protected: &[Pattern]| {
        !list.is_empty() && list.iter().all(|inner| protected.iter().any(|outer| covers(outer, inner)))
    };
    if only_protected(&select.users, &protected.users)
        || only_protected(&select.client_ids, &protected.client_ids)
    {
        let message = "the rule selects only names that are protected, which no rule touches";
        let help = "brokers, Connect, MirrorMaker, Schema Registry, Cruise Control, operators, the enforcer and `protected` are";
        check.error(text, "protected", message, help);
    }
    Some(select)
}

fn measure(
    check: &mut Check<'_>,
    text: &Text,
    key: Key,
    enter: Amount,
    query: Option<String>,
) -> Option<Measure> {
    if let Some(query) = query {
        if enter.unit != Unit::Plain || enter.per_broker {
            let message = format!("`{}` has a unit, and what a query yields has none", text.value);
            check.error(text, "unit", message, "write a plain number");
            return None;
        }
        return Some(Measure::Query(query));
    }
    if !fits(key, enter.unit) {
        let help = match key {
            Key::RequestPercentage => {
                "write `150%`, `150% per broker`, `20% of broker`, `20% of cluster` or `3x baseline`"
            }
            _ => "write `30MB/s`, `30MB/s per broker`, `20% of broker`, `20% of cluster` or `3x baseline`",
        };
        misfit(check, text, key, help);
        return None;
    }
    Some(match enter.unit {
        Unit::OfBroker => Measure::ShareOfBroker,
        Unit::OfCluster => Measure::ShareOfCluster,
        Unit::Baseline => Measure::TimesBaseline,
        _ if enter.per_broker => Measure::WorstBroker,
        _ => Measure::Total,
    })
}

/// Four fifths of `enter` when it is not given.
fn release(check: &mut Check<'_>, given: &file::Rule, enter: Option<Amount>) -> Option<f64> {
    let Some(text) = &given.release else { return enter.map(|enter| enter.value * 0.8) };
    let release: Amount = check.value(text)?;
    let enter = enter?;
    if (release.unit, release.per_broker) != (enter.unit, enter.per_broker) {
        let message = format!("release `{release}` and enter `{enter}` are not of one kind");
        check.error(text, "release", message, "write both in the same way");
    } else if release.value >= enter.value {
        let message =
            format!("release {release} is not below enter {enter}: a client would enter and leave in turns");
        check.error(text, "release", message, "four fifths of enter is what it is without this line");
    }
    Some(release.value)
}

fn hold(check: &mut Check<'_>, given: &file::Hold) -> HoldTimes {
    let minutes = |minutes: u64| Time(Duration::from_secs(minutes * 60));
    let Time(duration) = check.or(&given.duration, minutes(15));
    let Time(minimum) = check.or(&given.minimum, Time(minutes(5).0.min(duration)));
    let Time(longest) = check.or(&given.longest, Time(minutes(240).0.max(duration)));
    let Time(memory) = check.or(&given.memory, minutes(24 * 60));
    let Count(factor) = check.or(&given.factor, Count(2));
    if let Some(text) = &given.minimum
        && minimum > duration
    {
        let message = format!("the minimum {} is longer than the duration {}", Time(minimum), Time(duration));
        check.error(text, "hold", message, "minimum ≤ duration ≤ longest");
    }
    if let Some(text) = &given.longest
        && longest < duration
    {
        let message =
            format!("the longest {} is shorter than the duration {}", Time(longest), Time(duration));
        check.error(text, "hold", message, "minimum ≤ duration ≤ longest");
    }
    if let Some(text) = &given.factor
        && factor > 16
    {
        check.error(
            text,
            "hold",
            format!("each offence would be held {factor} times longer"),
            "write 1 to 16",
        );
    }
    HoldTimes { minimum, duration, factor, longest, memory }
}
