//! Incidents: what happens to traffic and errors, by name or by chance.

use super::traffic::{Random, Target, simulate};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
/// Errors of a healthy service.
const HEALTHY: f64 = 0.0001;
/// Events per second and target.
const RATE: f64 = 20.0;
/// Scrape interval in seconds.
pub const SCRAPE: u64 = 30;

/// Share of errors and traffic factor of some targets for some time.
#[derive(Clone, Copy, Debug)]
pub struct Episode {
    /// From this second after the start of the incident.
    pub from: u64,
    /// To this second.
    pub to: u64,
    /// Share of errors.
    pub ratio: f64,
    /// Traffic as a multiple of the usual.
    pub traffic: f64,
    /// Of this target only.
    pub target: Option<usize>,
}

/// One incident.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Heading.
    pub name: String,
    /// What happens.
    pub episodes: Vec<Episode>,
    /// Counters of a target start from zero (target, second).
    pub resets: Vec<(usize, u64)>,
    /// A target is not scraped (target, from, to).
    pub gaps: Vec<(usize, u64, u64)>,
    /// Seconds from its start until everything is over.
    pub length: u64,
}

impl Incident {
    fn new(name: impl Into<String>, length: u64, episodes: Vec<Episode>) -> Self {
        Self { name: name.into(), episodes, resets: Vec::new(), gaps: Vec::new(), length }
    }

    /// Two targets, the incident starting at `start`.
    #[must_use]
    pub fn targets(&self, start: u64, seconds: u64) -> Vec<Target> {
        let mut random = Random::new(11);
        let shape = |target: usize, second: u64| {
            let after = second.wrapping_sub(start);
            let episode = self.episodes.iter().find(|episode| {
                (episode.from..episode.to).contains(&after) && episode.target.is_none_or(|one| one == target)
            });
            episode.map_or((RATE, HEALTHY), |episode| (RATE * episode.traffic, episode.ratio))
        };
        [(0, 7), (1, 19)]
            .into_iter()
            .map(|(index, phase)| {
                let mut target = simulate(&shape, index, seconds, phase, &mut random);
                target.started = 1_000_000;
                let of = |one: &usize| *one == index;
                target.resets =
                    self.resets.iter().filter(|(one, _)| of(one)).map(|(_, at)| start + at).collect();
                let gaps = self.gaps.iter().filter(|(one, ..)| of(one));
                target.gaps = gaps.map(|(_, from, to)| (start + from, start + to)).collect();
                target
            })
            .collect()
    }
}

const fn all(from: u64, to: u64, ratio: f64) -> Episode {
    Episode { from, to, ratio, traffic: 1.0, target: None }
}

/// The shapes of the document, but for those where Prometheus itself stops.
#[must_use]
pub fn shapes() -> Vec<Incident> {
    let mut reset =
        Incident::new("counter reset in a total outage", 20 * MINUTE, vec![all(0, 20 * MINUTE, 1.0)]);
    reset.resets = vec![(0, 7 * MINUTE), (1, 8 * MINUTE + 10)];
    let mut restart = Incident::new(
        "target restart: 3 min down, then 60 % errors for 5 min",
        8 * MINUTE,
        vec![
            Episode { target: Some(0), traffic: 0.0, ..all(0, 3 * MINUTE, 0.0) },
            Episode { target: Some(0), ..all(3 * MINUTE, 8 * MINUTE, 0.6) },
        ],
    );
    restart.gaps = vec![(0, 0, 3 * MINUTE)];
    restart.resets = vec![(0, 3 * MINUTE)];
    let flaps =
        (0..18).map(|index| all(index * 10 * MINUTE, index * 10 * MINUTE + 2 * MINUTE, 0.2)).collect();
    vec![
        Incident::new("sudden total outage, 30 min", 30 * MINUTE, vec![all(0, 30 * MINUTE, 1.0)]),
        Incident::new("slow burn: 0.9 % errors for 6 h", 6 * HOUR, vec![all(0, 6 * HOUR, 0.009)]),
        Incident::new("flapping: 20 % errors for 2 of every 10 min, 3 h", 3 * HOUR, flaps),
        Incident::new(
            "traffic drops to 2 % for 1 h, 60 % of it errors",
            HOUR,
            vec![Episode { traffic: 0.02, ..all(0, HOUR, 0.6) }],
        ),
        reset,
        Incident::new(
            "deploy spike: each target fails for 90 s in turn",
            4 * MINUTE,
            vec![
                Episode { target: Some(0), ..all(0, 90, 1.0) },
                Episode { target: Some(1), ..all(2 * MINUTE, 2 * MINUTE + 90, 1.0) },
            ],
        ),
        restart,
    ]
}

/// A burst of errors that no two scrapes of a target stand inside of, `phase` evaluations after a full base window.
#[must_use]
pub fn burst(phase: u64) -> Incident {
    let from = phase * 30 + 20;
    // Scrapes fall on 7 and 19 of every 30 seconds: 20 to 29 lies inside one interval of both targets.
    let episode = Episode { traffic: 30.0, ..all(from, from + 9, 1.0) };
    Incident::new(format!("burst inside one scrape interval, phase {phase}"), from + 9, vec![episode])
}

/// An incident by chance.
#[must_use]
pub fn random(seed: u64) -> Incident {
    let mut random = Random::new(seed + 1000);
    let (mut episodes, mut from) = (Vec::new(), 0);
    for _ in 0..random.index(1, 6) {
        let to = from + random.index(20, 40 * MINUTE);
        episodes.push(Episode {
            from,
            to,
            ratio: 10_f64.powf(random.between(-2.5, 0.0)),
            traffic: 10_f64.powf(random.between(-1.0, 0.7)),
            target: [None, None, Some(0), Some(1)]
                .get(usize::from(random.index(0, 4) as u8))
                .copied()
                .flatten(),
        });
        from = to + random.index(30, 30 * MINUTE);
    }
    let mut incident = Incident::new(format!("random {seed}"), from, episodes);
    if random.unit() < 0.3 {
        incident.resets = vec![(0, random.index(0, from))];
    }
    incident
}
