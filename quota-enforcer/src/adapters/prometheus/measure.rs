//! Queries of rules, and burn rates.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use daemon_kit::prom::Series;
use quota_enforcer_core::entity::{Entity, Kind};
use quota_enforcer_core::policy::Policy;
use quota_enforcer_core::time::Timestamp;
use quota_enforcer_core::usage::Answer;

use super::names;
use crate::spec::profile::Profile;

/// A burn rate that was recorded longer ago says nothing of now; rule groups that record it run at least every minute.
const BURN_MAX_AGE_SECONDS: u32 = 180;

/// The record of slo-engine's and Sloth's rules.
const BURN_RATE: &str = "slo:current_burn_rate:ratio";

/// The query for the burn rates that rules ask for; `None` when none does.
pub(super) fn burns_query(policy: &Policy) -> Option<String> {
    let mut slos: Vec<String> = policy
        .rules
        .iter()
        .filter_map(|rule| rule.when.as_ref())
        .map(|when| regex_lite::escape(&when.slo))
        .collect();
    slos.sort();
    slos.dedup();
    let record = format!("{BURN_RATE}{{sloth_id=~{}}}", quoted(&slos.join("|")));
    (!slos.is_empty())
        .then(|| format!("{record} and (time() - timestamp({record}) < {BURN_MAX_AGE_SECONDS})"))
}

/// A PromQL string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// The lowest burn rate of each SLO: where several servers record it, all must agree that it burns. A value that is no
/// number makes the SLO's unknown.
pub(super) fn burns(series: &[Series]) -> BTreeMap<String, f64> {
    let mut burns = BTreeMap::new();
    for series in series {
        let (Some(slo), Some(burn)) = (series.labels.get("sloth_id"), series.last()) else { continue };
        let lowest = burns.entry(slo.clone()).or_insert(burn);
        if burn.is_nan() || burn < *lowest {
            *lowest = burn;
        }
    }
    burns.retain(|_, burn| burn.is_finite());
    burns
}

/// Values by entity, and what is wrong with the answer. An entity with two values, or one that is no number, is unknown.
pub(super) fn answers(
    profile: &Profile,
    kind: Kind,
    series: &[Series],
) -> (BTreeMap<Entity, Answer>, impl Iterator<Item = String> + use<>) {
    let mut found: BTreeMap<Entity, Option<Answer>> = BTreeMap::new();
    let (mut nameless, mut twice) = (0_usize, 0_usize);
    for series in series {
        let Some(sample) = series.samples.last() else { continue };
        let client = names::client(profile, |label| series.labels.get(label));
        let Some(entity) = Entity::of(kind, &client) else {
            nameless += 1;
            continue;
        };
        let answer = Answer { value: sample.value, at: Timestamp(sample.at_ms) };
        match found.entry(entity) {
            Entry::Vacant(entry) => {
                entry.insert(Some(answer).filter(|answer| answer.value.is_finite()));
            }
            Entry::Occupied(mut entry) => {
                twice += 1;
                entry.insert(None);
            }
        }
    }
    let (user, client_id) = (&profile.user_label, &profile.client_id_label);
    let labels = match kind {
        Kind::User => user.clone(),
        Kind::ClientId => client_id.clone(),
        Kind::Pair => format!("{user} and {client_id}"),
    };
    let nameless = (nameless > 0).then(|| format!("{nameless} of its series do not carry {labels}"));
    let twice =
        (twice > 0).then(|| format!("it has several series for one {labels}: aggregate by ({labels})"));
    let found = found.into_iter().filter_map(|(entity, answer)| Some((entity, answer?)));
    (found.collect(), nameless.into_iter().chain(twice))
}

#[cfg(test)]
mod tests {
    use daemon_kit::prom::Sample;

    use super::*;

    fn series(labels: &[(&str, &str)], value: f64) -> Series {
        Series {
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            samples: vec![Sample { at_ms: 5, value }],
            histograms: 0,
        }
    }

    #[test]
    fn the_lowest_burn_rate_counts_and_nan_is_none() {
        let of = |slo, value| series(&[("sloth_id", slo)], value);
        let given = [
            of("a", 3.0),
            of("a", 2.0),
            of("b", f64::NAN),
            of("b", 9.0),
            of("c", 9.0),
            of("c", f64::NAN),
            series(&[], 1.0),
        ];
        assert_eq!(burns(&given), BTreeMap::from([("a".to_owned(), 2.0)]));
    }

    #[test]
    fn strings_are_quoted_for_promql() {
        assert_eq!(quoted("a\"b\\.c\n"), r#""a\"b\\.c\n""#);
        promql_parser::parser::parse(&format!("m{{a={}}}", quoted("a\"b\\.c\n"))).unwrap();
    }

    #[test]
    fn answers_are_by_the_labels_of_the_kind() {
        let profile = Profile::preset("backstop").unwrap();
        let given = [
            series(&[("user", "CN%3Da"), ("client_id", "x")], 1.0),
            series(&[("user", "b"), ("client_id", "x")], f64::INFINITY),
            series(&[("client_id", "y")], 2.0),
        ];
        let ask = |kind| {
            let (answers, faults) = answers(&profile, kind, &given);
            let answers: Vec<_> =
                answers.iter().map(|(entity, answer)| (entity.to_string(), answer.value)).collect();
            (answers, faults.collect::<Vec<_>>())
        };
        let (answers, faults) = ask(Kind::User);
        assert_eq!(answers, [("user=\"CN=a\"".to_owned(), 1.0)]);
        assert_eq!(faults, ["1 of its series do not carry user"]);
        let (answers, faults) = ask(Kind::ClientId);
        assert_eq!(answers, [("client-id=y".to_owned(), 2.0)], "x is there twice");
        assert_eq!(faults, ["it has several series for one client_id: aggregate by (client_id)"]);
        assert_eq!(ask(Kind::Pair).0, [("user=\"CN=a\",client-id=x".to_owned(), 1.0)]);
    }
}
