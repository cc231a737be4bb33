//! The process dies (SIGKILL) at every point of a write, and at moments that nobody chose.

use std::time::Duration;

use quota_enforcer::engine::probe::Stage;
use testbed::quota::Rule;
use testbed::wait::LIMIT;

use super::{CALM, WILD, World, rule};

/// The runaway is held, is calm, is held again: kills in each of these, twice.
const KILLS: usize = 6;
/// The same with `FULL=1`.
const KILLS_OF_FULL: usize = 100;
/// A whole cycle of throttle and release fits into it.
const LATEST: Duration = Duration::from_secs(6);

/// Nobody leads: the dead one's session ends, its lease runs out, the next one takes over and settles what it left.
async fn next_one_settles(world: &mut World) {
    world.stage.enforcer.start().await.unwrap();
    world.ready().await;
    world.agreed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_failpoint_the_next_one_settles_what_is_left() {
    let mut world = World::new(rule()).await;
    world.ready().await;
    let mut standing = false;
    for stage in Stage::ALL {
        println!("killed at {}", stage.name());
        // The first two are reached by every tick, so there is a throttle beforehand; the others by a tick that begins one.
        let before = stage <= Stage::Decided;
        if before && !standing {
            world.throttled().await;
            standing = true;
        }
        if before {
            world.stage.enforcer.kill();
        } else {
            if standing {
                next_one_settles(&mut world).await;
                // Released while brokers still measure the run, it would be throttled again before the stop.
                world.calm().await;
                world.let_go().await;
                standing = false;
            }
            world.stage.enforcer.stop();
        }
        world.stage.enforcer.spawn(Some(stage.name())).unwrap();
        world.stage.wild.set_rate(WILD);
        let status = world.stage.enforcer.ended(LIMIT).await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
        world.written_ahead().await;
        if !before {
            standing = true;
        }
    }
    next_one_settles(&mut world).await;
    // What was done last was done for good.
    assert_eq!(world.look().await.len(), 1, "the throttle of the last one stands");
    world.released().await;
    world.proved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_nothing_is_left_and_nothing_is_lost() {
    // It probes as soon as it holds, so that there is always a write to come; and who died is missed soon.
    let hasty =
        Rule { hold: ("1s", "2s", "1h"), lease: "3s", session: Some(Duration::from_secs(2)), ..rule() };
    let mut world = World::new(hasty).await;
    world.ready().await;
    let seed = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("to repeat it: SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for kill in 0..if super::full() { KILLS_OF_FULL } else { KILLS } {
        world.stage.wild.set_rate(if kill % 3 == 2 { CALM } else { WILD });
        let moment = LATEST.mul_f64(random.f64());
        println!("kill {kill}: after {moment:?}");
        // The one wait for a time: the moment is what is tried.
        tokio::time::sleep(moment).await;
        world.stage.enforcer.kill();
        world.written_ahead().await;
        next_one_settles(&mut world).await;
    }
    world.released().await;
    world.proved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_is_reaped_when_no_daemon_runs() {
    let mut world = World::new(Rule { hold: ("1s", "5s", "15s"), ..rule() }).await;
    world.ready().await;
    world.throttled().await;
    world.stage.enforcer.kill();
    let reaped = super::until("the hold to be reaped", || async {
        // It leads for one act, as soon as the dead one's session and lease are over.
        let (code, out, err) = world.stage.command(&["reap", "--by", "cron"])?;
        println!("{code:?} {out}{err}");
        Ok((code == Some(0) && world.look().await.is_empty()).then_some(()))
    });
    reaped.await.unwrap();
    world.proved().await;
    let status = world.run(&["status"]).await;
    assert!(status.contains("held: 0"), "{status}");
}
