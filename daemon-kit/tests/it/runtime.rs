//! Start, death and the order of the end.

use std::future::pending;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon_kit::admin::{Response, Routes, StatusCode};
use daemon_kit::runtime::{RunError, Runtime};
use daemon_kit::systemd::Notifier;
use daemon_kit::tasks::{BoxError, Tasks};
use daemon_kit::testing::ManualClock;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{Notify, oneshot};

use crate::support::{DEADLINE, Running, build, get, options, until, within};

fn bare() -> Runtime {
    Runtime::builder("kit-test", "0").without_signals().build().unwrap()
}

/// A task that notes its name when it is told to stop.
fn noted(tasks: &Tasks, name: &'static str, order: &Arc<Mutex<Vec<&'static str>>>) {
    let order = Arc::clone(order);
    tasks.critical(name, |cancel| async move {
        cancel.cancelled().await;
        // Were the stages told at the same time, the others would come first here.
        tokio::task::yield_now().await;
        order.lock().unwrap().push(name);
    });
}

#[tokio::test]
async fn two_runtimes_live_in_one_process() {
    let start = |name: &'static str, wall_ms: i64| {
        let clock = Arc::new(ManualClock::at_ms(wall_ms));
        let builder = Runtime::builder(name, "1").admin(options()).clock(clock).without_signals();
        let mut runtime = builder.build().unwrap();
        let counter = Counter::<u64>::default();
        runtime.registry().register("own", "Own", counter.clone());
        counter.inc_by(u64::try_from(runtime.clock().now_ms()).unwrap());
        Running::start(runtime)
    };
    let (one, two) = (start("one", 1), start("two", 2));
    assert_ne!(one.address, two.address);
    assert_eq!((one.metric("own_total").await, two.metric("own_total").await), (Some(1.0), Some(2.0)));
    assert_eq!(two.metric("two_build_info{version=\"1\"}").await, Some(1.0));
    assert_eq!(two.metric("one_build_info{version=\"1\"}").await, None);
    one.stop().await;
    assert_eq!(get(two.address, "/ready").await.status, 200);
    two.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_an_error_at_once() {
    let first = build(options());
    let mut taken = options();
    taken.listen = first.admin_address().unwrap();
    let error = Runtime::builder("kit-test", "0").admin(taken).build().unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn stages_stop_in_order() {
    let mut runtime = bare();
    let order = Arc::default();
    for (stage, tasks) in [("intake", ["a1", "a2"]), ("work", ["b1", "b2"]), ("flush", ["c1", "c2"])] {
        let group = runtime.stage(stage, DEADLINE);
        tasks.iter().for_each(|name| noted(&group, name, &order));
    }
    runtime.shutdown().drain();
    within("the drain", runtime.run()).await.unwrap();
    let mut order = order.lock().unwrap().clone();
    // Within a stage there is no order.
    order.chunks_mut(2).for_each(<[_]>::sort_unstable);
    assert_eq!(order, ["a1", "a2", "b1", "b2", "c1", "c2"]);
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_does_not_stop_costs_its_limit_and_is_named() {
    let mut runtime = bare();
    let order = Arc::default();
    let (work, flush) = (runtime.stage("work", Duration::from_secs(7)), runtime.stage("flush", DEADLINE));
    work.critical("deaf", |_| pending::<()>());
    work.spawn("deaf request", |_| pending());
    noted(&flush, "flush", &order);
    runtime.shutdown().drain();
    let start = tokio::time::Instant::now();
    let error = runtime.run().await.unwrap_err();
    assert_eq!(error.to_string(), "not stopped in time: work: deaf, work: deaf request");
    assert_eq!((error.exit_code(), start.elapsed().as_secs()), (1, 7));
    assert_eq!(*order.lock().unwrap(), ["flush"], "the later stages have their turn");
}

#[tokio::test]
async fn the_second_signal_gives_the_drain_up() {
    let mut runtime = bare();
    let shutdown = runtime.shutdown();
    let (tell, told) = oneshot::channel::<()>();
    runtime.stage("work", Duration::from_secs(3_600)).critical("deaf", |_| async move {
        let _until_dropped = tell;
        pending::<()>().await;
    });
    shutdown.signal();
    let again = async {
        tokio::task::yield_now().await;
        shutdown.signal();
    };
    let (error, ()) = within("the abort", async { tokio::join!(runtime.run(), again) }).await;
    let error = error.unwrap_err();
    assert!(matches!(error, RunError::Aborted), "{error}");
    assert_eq!(error.exit_code(), 130);
    assert!(within("the task's end", told).await.is_err(), "what was left is dropped");
}

async fn panics() {
    panic!("on purpose");
}

#[tokio::test]
async fn a_dead_task_ends_the_runtime_by_name_after_a_drain() {
    let mut runtime = bare();
    let order = Arc::default();
    let (work, flush) = (runtime.stage("work", DEADLINE), runtime.stage("flush", DEADLINE));
    noted(&flush, "flush", &order);
    work.critical("poll", |_| async { Err::<(), BoxError>("no route to host".into()) });
    let error = within("the end", runtime.run()).await.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("task poll failed", 1));
    let RunError::Task(death) = error else { panic!("{error}") };
    assert_eq!(death.source.unwrap().to_string(), "no route to host");
    assert_eq!(*order.lock().unwrap(), ["flush"]);

    let mut runtime = bare();
    runtime.stage("work", DEADLINE).critical("loop", |_| panics());
    assert_eq!(within("the end", runtime.run()).await.unwrap_err().to_string(), "task loop panicked");

    let mut runtime = bare();
    runtime.stage("work", DEADLINE).critical("loop", |_| async {});
    let error = within("the end", runtime.run()).await.unwrap_err();
    assert_eq!(error.to_string(), "task loop ended unexpectedly");
}

#[tokio::test]
async fn a_flush_that_fails_is_not_a_good_end() {
    let mut runtime = bare();
    runtime.stage("flush", DEADLINE).critical("flush", |cancel| async move {
        cancel.cancelled().await;
        Err::<(), BoxError>("disk full".into())
    });
    runtime.shutdown().drain();
    assert_eq!(within("the end", runtime.run()).await.unwrap_err().to_string(), "task flush failed");
}

#[tokio::test]
async fn the_drain_can_be_watched_until_its_end() {
    let mut runtime = build(options());
    let done = Arc::new(Notify::new());
    let waits = Arc::clone(&done);
    runtime.stage("work", DEADLINE).critical("last round", |cancel| async move {
        cancel.cancelled().await;
        waits.notified().await;
    });
    let answered = Arc::clone(&done);
    runtime.routes(Routes::new().get("/api/finish", move |_| {
        // The drain goes on while this answer is written.
        answered.notify_one();
        async { Response::text(StatusCode::OK, "finishing") }
    }));
    let running = Running::start(runtime);
    assert_eq!(get(running.address, "/ready").await.status, 200);
    running.shutdown.drain();
    until("not ready", async || get(running.address, "/ready").await.status == 503).await;
    assert_eq!(get(running.address, "/ready").await.body, "not ready\ndraining\n");
    assert_eq!(get(running.address, "/live").await.status, 200);
    assert_eq!(running.metric("ready").await, Some(0.0));
    assert_eq!(get(running.address, "/api/finish").await.body, "finishing\n");
    let address = running.address;
    running.end().await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the port is free again");
}

#[tokio::test]
async fn systemd_hears_ready_when_it_is_and_stopping_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let receive = || {
        let mut buffer = [0; 64];
        socket.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    let runtime = Runtime::builder("kit-test", "0").admin(options()).without_signals();
    let runtime = runtime.notifier(Notifier::to(&path)).build().unwrap();
    let started = runtime.readiness().handle("first pass");
    let running = Running::start(runtime);
    assert_eq!(get(running.address, "/ready").await.status, 503);
    assert_eq!(receive(), None);
    drop(started);
    until("READY", async || receive().as_deref() == Some("READY=1")).await;
    running.stop().await;
    assert_eq!(receive().as_deref(), Some("STOPPING=1"));
}
