//! The shop without its HTTP: requests as a pure function of seed, time and changes.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Customers arrive in steps of this length.
const STEP: Duration = Duration::from_millis(20);
/// Upper bounds of the latency histogram in seconds, `+Inf` apart.
const BUCKETS: [f64; 8] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Exposed from the start. `500` is not among them everywhere: many real services show an error series only after the first error.
const CODES: [&str; 3] = ["200", "404", "500"];

/// Name, instances, requests per second and instance, median latency in seconds, error series shown before the first error.
const SERVICES: [(&str, usize, f64, f64, bool); 4] = [
    ("catalogue", 3, 40.0, 0.020, true),
    ("checkout", 2, 25.0, 0.060, true),
    ("payments", 2, 15.0, 0.120, false),
    ("search", 2, 30.0, 0.040, true),
];

/// How a service behaves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Behaviour {
    /// Share of the requests that fail, from 0 to 1.
    pub error_ratio: f64,
    /// Latencies are multiplied by this.
    pub latency_factor: f64,
    /// Traffic is multiplied by this.
    pub traffic_factor: f64,
    /// Its instances do not answer scrapes (and serve nobody).
    pub down: bool,
}

/// One error in fifty thousand requests: even a healthy service has some.
const HEALTHY: Behaviour =
    Behaviour { error_ratio: 0.000_02, latency_factor: 1.0, traffic_factor: 1.0, down: false };

/// What to change; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Which service.
    pub service: String,
    /// See [`Behaviour::error_ratio`].
    pub error_ratio: Option<f64>,
    /// See [`Behaviour::latency_factor`].
    pub latency_factor: Option<f64>,
    /// See [`Behaviour::traffic_factor`].
    pub traffic_factor: Option<f64>,
    /// See [`Behaviour::down`].
    pub down: Option<bool>,
    /// Healthy again; before the other changes.
    pub healthy: bool,
    /// The instances start again: their counters begin at zero.
    pub restart: bool,
}

impl Change {
    /// From now on this share of the service's requests fails.
    #[must_use]
    pub fn errors(service: &str, error_ratio: f64) -> Self {
        Self { service: service.to_owned(), error_ratio: Some(error_ratio), ..Self::default() }
    }

    /// The service is well again.
    #[must_use]
    pub fn recovery(service: &str) -> Self {
        Self { service: service.to_owned(), healthy: true, ..Self::default() }
    }
}

#[derive(Clone, Debug, Default)]
struct Instance {
    name: String,
    requests: [u64; CODES.len()],
    buckets: [u64; BUCKETS.len() + 1],
    seconds: f64,
    /// Part of a request that has not arrived yet.
    pending: f64,
}

#[derive(Clone, Debug)]
struct Service {
    name: &'static str,
    rate: f64,
    median: f64,
    shows_errors_early: bool,
    behaviour: Behaviour,
    instances: Vec<Instance>,
}

/// The whole shop.
#[derive(Clone, Debug)]
pub struct Model {
    services: Vec<Service>,
    random: SplitMix,
    now: Duration,
}

impl Model {
    /// A healthy shop at time zero.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let service =
            |(name, instances, rate, median, shows_errors_early): (&'static str, usize, f64, f64, bool)| {
                Service {
                    name,
                    rate,
                    median,
                    shows_errors_early,
                    behaviour: HEALTHY,
                    instances: (1..=instances)
                        .map(|number| Instance { name: format!("{name}-{number}"), ..Instance::default() })
                        .collect(),
                }
            };
        Self {
            services: SERVICES.into_iter().map(service).collect(),
            random: SplitMix(seed),
            now: Duration::ZERO,
        }
    }

    /// Service and instance names.
    #[must_use]
    pub fn instances(&self) -> Vec<(String, String)> {
        let names = |service: &Service| {
            let name = service.name.to_owned();
            service
                .instances
                .iter()
                .map(move |instance| (name.clone(), instance.name.clone()))
                .collect::<Vec<_>>()
        };
        self.services.iter().flat_map(names).collect()
    }

    /// Lets the customers of all whole steps until `time` in.
    pub fn advance(&mut self, time: Duration) {
        while self.now + STEP <= time {
            self.now += STEP;
            for service in &mut self.services {
                service.step(&mut self.random);
            }
        }
    }

    /// Changes a service.
    ///
    /// # Errors
    /// A message when there is no such service or a number is out of range; nothing is changed then.
    pub fn change(&mut self, change: &Change) -> Result<(), String> {
        let names: Vec<&str> = self.services.iter().map(|service| service.name).collect();
        let Some(service) = self.services.iter_mut().find(|service| service.name == change.service) else {
            return Err(format!("no service {:?}, there are {}", change.service, names.join(", ")));
        };
        let old = if change.healthy { HEALTHY } else { service.behaviour };
        let new = Behaviour {
            error_ratio: change.error_ratio.unwrap_or(old.error_ratio),
            latency_factor: change.latency_factor.unwrap_or(old.latency_factor),
            traffic_factor: change.traffic_factor.unwrap_or(old.traffic_factor),
            down: change.down.unwrap_or(old.down),
        };
        for (name, value, max) in [
            ("error_ratio", new.error_ratio, 1.0),
            ("latency_factor", new.latency_factor, 1_000.0),
            ("traffic_factor", new.traffic_factor, 100.0),
        ] {
            if !(0.0..=max).contains(&value) {
                return Err(format!("{name} must be from 0 to {max}"));
            }
        }
        service.behaviour = new;
        if change.restart {
            for instance in &mut service.instances {
                *instance = Instance { name: std::mem::take(&mut instance.name), ..Instance::default() };
            }
        }
        Ok(())
    }

    /// How every service behaves.
    #[must_use]
    pub fn behaviours(&self) -> Value {
        let entry = |service: &Service| {
            (service.name.to_owned(), serde_json::to_value(service.behaviour).unwrap_or(Value::Null))
        };
        Value::Object(self.services.iter().map(entry).collect())
    }

    /// An instance's metrics in Prometheus' text format; `Err` while it is down, `None` when there is no such instance.
    #[must_use]
    pub fn expose(&self, name: &str) -> Option<Result<String, String>> {
        let (service, instance) = self.services.iter().find_map(|service| {
            let instance = service.instances.iter().find(|instance| instance.name == name)?;
            Some((service, instance))
        })?;
        if service.behaviour.down {
            return Some(Err(format!("{name} is down")));
        }
        Some(Ok(instance.text(service.shows_errors_early)))
    }
}

impl Service {
    fn step(&mut self, random: &mut SplitMix) {
        if self.behaviour.down {
            return;
        }
        let arrivals = self.rate * self.behaviour.traffic_factor * STEP.as_secs_f64();
        for instance in &mut self.instances {
            instance.pending += arrivals;
            while instance.pending >= 1.0 {
                instance.pending -= 1.0;
                instance.serve(&self.behaviour, self.median, random);
            }
        }
    }
}

impl Instance {
    fn serve(&mut self, behaviour: &Behaviour, median: f64, random: &mut SplitMix) {
        let code = if random.unit() < behaviour.error_ratio {
            2
        } else {
            // Two customers in a hundred ask for what is not there; that is no error of ours.
            usize::from(random.unit() < 0.02)
        };
        if let Some(count) = self.requests.get_mut(code) {
            *count += 1;
        }
        // Log-logistic: median times (u/(1-u))^(1/shape); one request in a thousand takes four times the median.
        let u = random.unit().clamp(1e-9, 1.0 - 1e-9);
        let seconds = median * behaviour.latency_factor * (u / (1.0 - u)).powf(1.0 / 5.0);
        self.seconds += seconds;
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
    }

    fn text(&self, shows_errors_early: bool) -> String {
        let mut text = String::with_capacity(1_024);
        text.push_str(
            "# HELP http_requests_total Requests by status code.\n# TYPE http_requests_total counter\n",
        );
        for (code, count) in CODES.iter().zip(self.requests) {
            if count > 0 || *code != "500" || shows_errors_early {
                line(&mut text, format_args!("http_requests_total{{code=\"{code}\"}} {count}"));
            }
        }
        text.push_str("# HELP http_request_duration_seconds Time to the last byte.\n");
        text.push_str("# TYPE http_request_duration_seconds histogram\n");
        let bounds = BUCKETS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let mut total = 0;
        for (bound, count) in bounds.zip(self.buckets) {
            total += count;
            line(&mut text, format_args!("http_request_duration_seconds_bucket{{le=\"{bound}\"}} {total}"));
        }
        line(&mut text, format_args!("http_request_duration_seconds_sum {}", self.seconds));
        line(&mut text, format_args!("http_request_duration_seconds_count {total}"));
        text
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    writeln!(text, "{arguments}").ok();
}

/// SplitMix64: small, well mixed, and the same everywhere.
#[derive(Clone, Debug)]
struct SplitMix(u64);

impl SplitMix {
    /// From 0 (included) to 1 (not).
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(model: &Model, instance: &str, series: &str) -> f64 {
        let text = model.expose(instance).unwrap().unwrap();
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
    }

    #[test]
    fn the_same_seed_gives_the_same_customers_however_often_one_looks() {
        let (mut often, mut once) = (Model::new(7), Model::new(7));
        for ms in (0..=10_000).step_by(130) {
            often.advance(Duration::from_millis(ms));
        }
        often.advance(Duration::from_secs(10));
        once.advance(Duration::from_secs(10));
        assert_eq!(often.expose("search-2"), once.expose("search-2"));
        assert_ne!(Model::new(8).expose("nobody"), once.expose("search-2"));
    }

    #[test]
    fn errors_follow_the_ratio_and_end_with_the_recovery() {
        let mut model = Model::new(1);
        let errors = "http_requests_total{code=\"500\"}";
        model.advance(Duration::from_secs(60));
        assert!(counter(&model, "checkout-1", errors) <= 1.0);
        model.change(&Change::errors("checkout", 0.5)).unwrap();
        model.advance(Duration::from_secs(120));
        let failed = counter(&model, "checkout-1", errors);
        assert!((600.0..900.0).contains(&failed), "half of 1500, not {failed}");
        assert!(!model.expose("payments-1").unwrap().unwrap().contains("\"500\""), "no error, no series");
        model.change(&Change::recovery("checkout")).unwrap();
        model.advance(Duration::from_secs(180));
        assert!(counter(&model, "checkout-1", errors) - failed <= 1.0);
    }

    #[test]
    fn histograms_are_cumulative_and_count_every_request() {
        let mut model = Model::new(1);
        model.advance(Duration::from_secs(60));
        let total = counter(&model, "search-1", "http_request_duration_seconds_count");
        assert!((total - 1_800.0).abs() <= 1.0, "{total}");
        let slow = |model: &Model| {
            total - counter(model, "search-1", "http_request_duration_seconds_bucket{le=\"0.25\"}")
        };
        assert!(slow(&model) < 10.0, "{}", slow(&model));
    }

    #[test]
    fn a_service_that_is_down_answers_no_scrape_and_wrong_changes_change_nothing() {
        let mut model = Model::new(1);
        let before = model.behaviours();
        assert!(model.change(&Change::errors("checkout", 1.5)).is_err());
        assert!(model.change(&Change::errors("warehouse", 0.5)).is_err());
        assert_eq!(model.behaviours(), before);
        model.change(&Change { service: "search".into(), down: Some(true), ..Change::default() }).unwrap();
        assert!(model.expose("search-1").unwrap().is_err());
    }
}
