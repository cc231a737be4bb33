//! Samples into readings.

use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use std::time::Duration;

use daemon_kit::prom::{Labels, Sample, Series};
use quota_enforcer_core::entity::Client;
use quota_enforcer_core::time::{Timestamp, millis};
use quota_enforcer_core::usage::{BrokerId, Reading};

use super::names;
use crate::spec::profile::Profile;

/// When each broker was scraped with success last, and what is wrong with the series that tell. A broker that was scraped at
/// two addresses at the same time is two, of two clusters: then nothing is known of either.
pub(super) fn scraped(
    profile: &Profile,
    series: &[Series],
) -> (BTreeMap<BrokerId, Timestamp>, Option<String>) {
    let mut last = BTreeMap::new();
    let mut places: BTreeMap<BrokerId, Vec<Place<'_>>> = BTreeMap::new();
    let mut strangers = Strangers::default();
    for series in series {
        let Some(broker) = broker(profile, &series.labels) else {
            strangers.add(profile, &series.labels);
            continue;
        };
        let good = series.samples.iter().filter(|sample| sample.value == profile.scraped.good);
        let times = good.map(|sample| Timestamp(sample.at_ms));
        if let (Some(from), Some(to)) = (times.clone().min(), times.max()) {
            let newest = last.entry(broker).or_insert(to);
            *newest = to.max(*newest);
            let address = series.labels.get("instance").map(String::as_str).unwrap_or_default();
            places.entry(broker).or_default().push(Place { address, from, to });
        }
    }
    let twice = places.iter().find_map(|(broker, places)| Some((*broker, same_time(places)?)));
    if let Some((broker, [one, other])) = twice {
        let fault = format!(
            "broker {broker} is scraped at {one} and at {other}: the metrics of two clusters cannot be told apart; name \
             this one in `metrics.matchers`, such as cluster=\"prod\""
        );
        return (BTreeMap::new(), Some(fault));
    }
    let selector = &profile.scraped.selector;
    let fault = match (series.is_empty(), last.is_empty()) {
        (true, _) => Some(format!("no series matches {selector}: no broker is known to have been scraped")),
        // Other programs may have such a series too; it is the brokers that must be found.
        (_, true) => Some(strangers.fault().map_or_else(
            || format!("no broker was scraped with success, says {selector}"),
            |fault| format!("no broker is known to have been scraped: {fault}"),
        )),
        _ => None,
    };
    (last, fault)
}

/// Where a broker was scraped, and when.
struct Place<'a> {
    address: &'a str,
    from: Timestamp,
    to: Timestamp,
}

/// Two addresses that were scraped in turns; a broker that moved was scraped at one, and then at the other.
fn same_time<'a>(places: &[Place<'a>]) -> Option<[&'a str; 2]> {
    let pairs =
        places.iter().enumerate().flat_map(|(at, one)| places.iter().skip(at + 1).map(move |o| (one, o)));
    pairs
        .filter(|(one, other)| one.address != other.address)
        .find(|(one, other)| one.from < other.to && other.from < one.to)
        .map(|(one, other)| [one.address, other.address])
}

/// Gathers one reading per broker and client from series, one after the other: all of them are too large to be kept.
pub(super) struct Gatherer {
    profile: Arc<Profile>,
    peak_window: Duration,
    found: BTreeMap<(BrokerId, Client), (f64, f64, i64)>,
    strangers: Strangers,
    nameless: usize,
}

impl Gatherer {
    pub(super) fn new(profile: Arc<Profile>, peak_window: Duration) -> Self {
        Self { profile, peak_window, found: BTreeMap::new(), strangers: Strangers::default(), nameless: 0 }
    }

    pub(super) fn add(&mut self, series: &Series) {
        let Some((rate, peak, at)) = fold(&series.samples, self.peak_window) else { return };
        let Some(broker) = broker(&self.profile, &series.labels) else {
            self.strangers.add(&self.profile, &series.labels);
            return;
        };
        let client = names::client(&self.profile, |label| series.labels.get(label));
        if client == Client::default() {
            self.nameless += 1;
            return;
        }
        match self.found.entry((broker, client)) {
            Entry::Vacant(entry) => {
                entry.insert((rate, peak, at));
            }
            // A broker has one sensor of these tags: two series are one sensor before and after the target was renamed, or
            // scraped twice. They never add up.
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.1 = known.1.max(peak);
                if at > known.2 {
                    (known.0, known.2) = (rate, at);
                }
            }
        }
    }

    /// The readings, and what is wrong with the series.
    pub(super) fn finish(self) -> (Vec<Reading>, Vec<String>) {
        let reading =
            |((broker, client), (rate, peak, at))| Reading { broker, client, rate, peak, at: Timestamp(at) };
        let (user, client_id) = (&self.profile.user_label, &self.profile.client_id_label);
        let nameless = (self.nameless > 0)
            .then(|| format!("{} series carry neither label {user} nor {client_id}", self.nameless));
        let faults = self.strangers.fault().into_iter().chain(nameless).collect();
        (self.found.into_iter().map(reading).collect(), faults)
    }
}

/// The latest value, the highest within the window before it (at least the latest), and the time of the latest.
fn fold(samples: &[Sample], peak_window: Duration) -> Option<(f64, f64, i64)> {
    let last = samples.last()?;
    let from = last.at_ms.saturating_sub(millis(peak_window));
    let recent = samples.iter().filter(|sample| sample.at_ms >= from).map(|sample| sample.value);
    // NaN is never the greater one: of nothing but NaN the peak is NaN, too.
    Some((last.value, recent.fold(last.value, f64::max), last.at_ms))
}

pub(super) fn broker(profile: &Profile, labels: &Labels) -> Option<BrokerId> {
    profile.broker.id(labels.get(&profile.broker.label)?)
}

/// Series of no known broker.
#[derive(Default)]
struct Strangers {
    count: usize,
    example: Option<String>,
}

impl Strangers {
    fn add(&mut self, profile: &Profile, labels: &Labels) {
        self.count += 1;
        if self.example.is_none() {
            let label = &profile.broker.label;
            self.example = Some(match labels.get(label) {
                Some(value) => format!("{label}=\"{value}\""),
                None => format!("no label {label}"),
            });
        }
    }

    fn fault(&self) -> Option<String> {
        let example = self.example.as_ref()?;
        Some(format!("{} series are of no known broker, for example with {example}", self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile::preset("backstop").unwrap()
    }

    fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
        Series {
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            samples: samples.iter().map(|(at_ms, value)| Sample { at_ms: *at_ms, value: *value }).collect(),
            histograms: 0,
        }
    }

    fn readings(series: &[Series]) -> (Vec<Reading>, Vec<String>) {
        let mut gatherer = Gatherer::new(Arc::new(profile()), WINDOW);
        series.iter().for_each(|series| gatherer.add(series));
        gatherer.finish()
    }

    const WINDOW: Duration = Duration::from_secs(11);

    #[test]
    fn the_latest_sample_counts_and_the_peak_of_the_window_before_it() {
        let samples = [(0, 900.0), (10_000, 300.0), (15_000, f64::NAN), (20_000, 100.0)];
        let given = series(&[("broker", "1"), ("user", "CN%3Da"), ("client_id", "")], &samples);
        let (readings, faults) = readings(&[given]);
        let client = Client { user: Some("CN=a".to_owned()), client_id: None };
        let reading = Reading { broker: 1, client, rate: 100.0, peak: 300.0, at: Timestamp(20_000) };
        assert_eq!((readings, faults), (vec![reading], Vec::new()));
    }

    #[test]
    fn nan_stays_nan() {
        let last = [(0, 5.0), (1_000, f64::NAN)];
        let (rate, peak, at) = fold(&series(&[], &last).samples, WINDOW).unwrap();
        assert!(rate.is_nan() && peak == 5.0 && at == 1_000);
        let (rate, peak, _) = fold(&series(&[], &[(0, f64::NAN)]).samples, WINDOW).unwrap();
        assert!(rate.is_nan() && peak.is_nan());
        assert_eq!(fold(&[], WINDOW), None);
    }

    #[test]
    fn a_sensor_that_is_there_twice_counts_once() {
        let of = |instance, samples: &[(i64, f64)]| {
            series(&[("broker", "1"), ("client_id", "app"), ("instance", instance)], samples)
        };
        for order in [[0, 1], [1, 0]] {
            let two = [of("old", &[(1_000, 70.0)]), of("new", &[(2_000, 50.0), (3_000, 60.0)])];
            let (readings, _) = readings(&order.map(|at| two[at].clone()));
            assert_eq!(readings.len(), 1);
            assert_eq!((readings[0].rate, readings[0].peak, readings[0].at), (60.0, 70.0, Timestamp(3_000)));
        }
    }

    #[test]
    fn what_names_no_client_or_no_broker_is_told() {
        let given = [
            series(&[("broker", "kafka-1"), ("user", "a")], &[(0, 1.0)]),
            series(&[("user", "a")], &[(0, 1.0)]),
            series(&[("broker", "1"), ("clientId", "a")], &[(0, 1.0)]),
            series(&[], &[]),
        ];
        let (readings, faults) = readings(&given);
        assert_eq!(readings, []);
        assert_eq!(
            faults,
            [
                "2 series are of no known broker, for example with broker=\"kafka-1\"",
                "1 series carry neither label user nor client_id",
            ]
        );
    }

    #[test]
    fn only_good_scrapes_count() {
        let of = |broker, samples: &[(i64, f64)]| series(&[("broker", broker)], samples);
        let given = [
            of("1", &[(0, 0.0), (1_000, 0.0), (2_000, 1.0)]),
            of("2", &[(2_000, f64::NAN)]),
            of("jvm", &[(2_000, 0.0)]),
        ];
        let (scraped, fault) = scraped(&profile(), &given);
        assert_eq!((scraped, fault), (BTreeMap::from([(1, Timestamp(1_000))]), None));
    }

    #[test]
    fn one_broker_at_two_addresses_is_two_clusters() {
        let of =
            |instance, samples: &[(i64, f64)]| series(&[("broker", "1"), ("instance", instance)], samples);
        let moved = [of("a:1", &[(0, 0.0), (1_000, 0.0)]), of("b:1", &[(2_000, 0.0), (3_000, 0.0)])];
        assert_eq!(scraped(&profile(), &moved), (BTreeMap::from([(1, Timestamp(3_000))]), None));
        let twice = [of("a:1", &[(0, 0.0), (1_000, 0.0)]), of("a:1", &[(500, 0.0), (1_500, 0.0)])];
        assert_eq!(scraped(&profile(), &twice).1, None, "two jobs scrape the same");
        let two = [of("a:1", &[(0, 0.0), (1_000, 0.0)]), of("b:1", &[(500, 0.0), (1_500, 0.0)])];
        let (scraped, fault) = scraped(&profile(), &two);
        assert!(scraped.is_empty() && fault.unwrap().starts_with("broker 1 is scraped at a:1 and at b:1"));
    }

    #[test]
    fn no_broker_is_a_fault() {
        let fault = |given: &[Series]| scraped(&profile(), given).1.unwrap();
        assert!(fault(&[]).starts_with("no series matches jmx_scrape_error"));
        assert!(
            fault(&[series(&[("broker", "1")], &[(0, 1.0)])])
                .starts_with("no broker was scraped with success")
        );
        assert!(
            fault(&[series(&[], &[(0, 0.0)])])
                .contains("1 series are of no known broker, for example with no label broker")
        );
    }
}
