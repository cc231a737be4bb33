//! What librdkafka adds to a process while it has nothing to do: the writer of the ledger and a member of the group, as the
//! daemon has them, and no broker. Prints KiB resident, KiB of them heap and stacks, and threads. `bench/idle.sh` runs it.

use std::error::Error;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, Producer as _};

/// Long enough for every thread to have begun and tried to connect.
const LIMIT: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let before = status()?;
    let producer: BaseProducer = config().set("transactional.id", "idle").create()?;
    let consumer: BaseConsumer = config()
        .set("group.id", "idle")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create()?;
    consumer.subscribe(&["idle"])?;
    // Nobody answers either.
    drop(producer.init_transactions(LIMIT));
    drop(consumer.poll(LIMIT));
    let with = status()?;
    let added: Vec<String> =
        with.iter().zip(before).map(|(with, before)| (with - before).to_string()).collect();
    println!("{}", added.join(" "));
    Ok(())
}

fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", "127.0.0.1:1");
    config
}

/// Of this process.
fn status() -> Result<[i64; 3], Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = |name: &str| -> Result<i64, Box<dyn Error>> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(line.and_then(|line| line.split_whitespace().next()).ok_or(name)?.parse()?)
    };
    Ok([value("VmRSS")?, value("RssAnon")?, value("Threads")?])
}
