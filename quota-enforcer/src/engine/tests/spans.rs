//! What an operator sees of a tick and an order in traces: which stage is within which.

use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::*;

/// Spans in the order of their beginning, each behind those it is within.
#[derive(Clone, Default)]
struct Paths(Arc<std::sync::Mutex<Vec<String>>>);

impl Paths {
    /// Collects those of this thread.
    fn watch(&self) -> DefaultGuard {
        tracing::subscriber::set_default(Registry::default().with(self.clone()))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Paths {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let scope = context.span(id).unwrap().scope().from_root();
        let names: Vec<&str> = scope.map(|span| span.name()).collect();
        self.0.lock().unwrap().push(names.join("/"));
    }
}

#[test]
fn stages_are_spans_within_their_tick_or_order() {
    block_on(async {
        let paths = Paths::default();
        let _guard = paths.watch();
        // Beside a second one, tracing asks whoever listens about a new place in the code; beside none, the thread that gets
        // there first, which may be another test's.
        let _second = tracing::Dispatch::new(Registry::default());
        let mut bench = Bench::new();
        bench.sim.world().demand.insert("wild".to_owned(), 20.0 * MB);
        bench.tick().await;
        assert_eq!(paths.take(), ["tick", "tick/observe", "tick/decide"]);
        while bench.sim.world().quotas.is_empty() {
            paths.take();
            bench.tick().await;
        }
        let stages = ["observe", "decide", "commit", "describe", "alter", "read_back", "commit"];
        let within = |root: &str, stages: &[&str]| -> Vec<String> {
            let stages = stages.iter().map(|stage| format!("{root}/{stage}"));
            std::iter::once(root.to_owned()).chain(stages).collect()
        };
        assert_eq!(paths.take(), within("tick", &stages));

        let sim = bench.sim.clone();
        let order = Order::Release { entity: slot("wild").entity, key: None };
        bench.engine.order(&sim, &order, "ops", "enough").await.unwrap();
        assert_eq!(paths.take(), within("order", &stages[2..]));
        bench.engine.plan(&bench.policy, &Ledger::default()).await;
        assert_eq!(paths.take(), within("plan", &stages[..2]));
        bench.engine.preview(&bench.policy, &Ledger::default(), &[]).await;
        assert_eq!(paths.take(), within("preview", &stages[..2]));
    });
}
