//! Who we are, and what we may.

use std::time::Duration;

use anyhow::Result;
use kafka_admin::{AlterMode, Client, Error, ErrorCode, Filter, Outcome};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use testbed::kafka::{Cluster, ENFORCER, Listener, Mechanism, NOBODY, Options, password};
use tokio::time::Instant;

use crate::support::{client, config, set, user};

const MECHANISMS: [Mechanism; 3] = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512];

#[tokio::test]
async fn every_protocol_and_mechanism_leads_in_as_the_right_user() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let mut ways = vec![(Listener::Plaintext, Mechanism::Plain), (Listener::MutualSsl, Mechanism::Plain)];
    let sasl = [Listener::SaslPlaintext, Listener::SaslSsl];
    ways.extend(sasl.into_iter().flat_map(|listener| MECHANISMS.map(|mechanism| (listener, mechanism))));
    for (listener, mechanism) in ways {
        let client = Client::connect(config(
            cluster.client_properties_by(listener, mechanism, ENFORCER),
            &[("client.id", "every way")],
        ))
        .await?;
        client.describe_client_quotas(&Filter::all()).await?;
        if listener == Listener::Plaintext {
            continue;
        }
        let nobody =
            Client::connect(config(cluster.client_properties_by(listener, mechanism, NOBODY), &[])).await?;
        let error = nobody.describe_client_quotas(&Filter::all()).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode(31)), "{listener:?} {mechanism:?}: {error}");
    }
    // A client certificate that is not asked for is not needed.
    let mut anonymous = cluster.client_properties(Listener::Ssl, ENFORCER);
    anonymous.retain(|name, _| !name.starts_with("ssl.certificate") && !name.starts_with("ssl.key"));
    Client::connect(config(anonymous, &[])).await?.describe_client_quotas(&Filter::all()).await?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_an_error_at_once_that_shows_no_password() -> Result<()> {
    let cluster = Cluster::shared().await?;
    for mechanism in MECHANISMS {
        for (user, password) in [(ENFORCER, "wr0ng"), ("stranger", "wr0ng")] {
            let properties = cluster.client_properties_by(Listener::SaslSsl, mechanism, user);
            let error =
                Client::connect(config(properties, &[("sasl.password", password)])).await.err().unwrap();
            assert!(
                matches!(&error, Error::Authentication { mechanism: m, .. } if *m == mechanism.name()),
                "{error}"
            );
            assert!(!error.is_transient() && error.outcome() == Outcome::NotSent, "{error}");
            assert!(error.to_string().contains("uthentication failed"), "{error}");
            assert!(!format!("{error} {error:?}").contains("wr0ng"), "{error:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_ends_the_connection() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let properties = cluster.client_properties(Listener::MutualSsl, ENFORCER);
    let other = properties.get("ssl.certificate.location").unwrap().clone();
    let error = Client::connect(config(properties, &[("ssl.ca.location", &other)])).await.err().unwrap();
    assert!(matches!(error, Error::Tls { .. }) && !error.is_transient(), "{error}");

    // Without an authority those of the system count, and they do not know the test bed's.
    let mut properties = cluster.client_properties(Listener::Ssl, ENFORCER);
    properties.remove("ssl.ca.location");
    match kafka_admin::Config::new(properties) {
        Ok(config) => {
            let error = Client::connect(config).await.err().unwrap();
            assert!(matches!(error, Error::Tls { .. }), "{error}");
        }
        Err(error) => assert_eq!(error.property, "ssl.ca.location"),
    }

    let mut properties = cluster.client_properties(Listener::MutualSsl, ENFORCER);
    properties.retain(|name, _| !name.starts_with("ssl.certificate") && !name.starts_with("ssl.key"));
    let error = Client::connect(config(properties, &[])).await.err().unwrap();
    assert!(matches!(error, Error::Tls { .. }), "no client certificate: {error}");
    Ok(())
}

#[tokio::test]
async fn the_wrong_protocol_for_a_port_is_an_error_with_a_hint() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let broker = cluster.broker(1)?;
    let tls = broker.address(Listener::Ssl).to_string();
    let plain = broker.address(Listener::Plaintext).to_string();
    let short = ("admin.timeout.ms", "4000");
    let plain_to_tls =
        client(&cluster, Listener::Plaintext, ENFORCER, &[("bootstrap.servers", &tls), short]).await;
    let error = plain_to_tls.err().unwrap();
    assert!(error.outcome() == Outcome::NotSent, "{error}");
    let tls_to_plain =
        client(&cluster, Listener::Ssl, ENFORCER, &[("bootstrap.servers", &plain), short]).await;
    assert!(tls_to_plain.is_err());
    Ok(())
}

#[tokio::test]
async fn who_may_not_alter_is_told_for_each_entity() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let client = client(&cluster, Listener::SaslPlaintext, NOBODY, &[]).await?;
    let alterations = ["may-not-1", "may-not-2"].map(|name| set(&user(name), "producer_byte_rate", 1e6));
    for altered in client.alter_client_quotas(&alterations, AlterMode::Apply).await {
        let error = altered.result.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Some(ErrorCode(31)), Outcome::Refused), "{error}");
        assert!(error.to_string().contains("CLUSTER_AUTHORIZATION_FAILED (31)"), "{error}");
    }
    let error = client.describe_client_quotas_at(2, &Filter::all()).await.unwrap_err();
    assert!(error.to_string().starts_with("DescribeClientQuotas: broker 2 at 127.0.0.1:"), "{error}");
    Ok(())
}

/// The broker closes a connection whose session has ended when it gets the next request on it, so a request that is not repeated would fail.
#[tokio::test]
async fn a_session_is_renewed_before_the_broker_ends_it() -> Result<()> {
    // A tenth of it is what a busy machine has at least, from the moment at which a request is found to be in time to its arrival.
    let lifetime = Duration::from_secs(10);
    let mut options = Options { brokers: 1, ..Options::default() };
    options.properties.insert("connections.max.reauth.ms".to_owned(), lifetime.as_millis().to_string());
    let cluster = Cluster::start(&options).await?;
    let client = client(&cluster, Listener::SaslPlaintext, ENFORCER, &[]).await?;
    let started = Instant::now();
    let mut calls = 0;
    while calls <= 10 || started.elapsed() < lifetime.mul_f64(1.2) {
        let alteration = set(&user("renewed"), "producer_byte_rate", 1e6);
        let called = Instant::now();
        let altered = client.alter_client_quotas(&[alteration], AlterMode::ValidateOnly).await;
        // What a busy machine delays for longer may come after the end.
        if called.elapsed() < lifetime / 10 {
            altered[0].result.clone()?;
        }
        calls += 1;
    }
    Ok(())
}

#[tokio::test]
async fn librdkafka_takes_the_same_properties() -> Result<()> {
    let cluster = Cluster::shared().await?;
    let file = tempfile::NamedTempFile::new()?;
    std::io::Write::write_all(&mut file.as_file(), format!("{}\n", password(ENFORCER)).as_bytes())?;
    let path = file.path().display().to_string();
    for listener in [Listener::SaslPlaintext, Listener::SaslSsl, Listener::MutualSsl] {
        let mut properties = cluster.client_properties(listener, ENFORCER);
        if properties.remove("sasl.password").is_some() {
            properties.insert("sasl.password.file".to_owned(), path.clone());
        }
        let config = config(properties, &[("admin.timeout.ms", "20000"), ("retry.backoff.ms", "50")]);
        let mut librdkafka = rdkafka::ClientConfig::new();
        for (name, value) in config.properties() {
            librdkafka.set(name, value);
        }
        let consumer: BaseConsumer = librdkafka.create()?;
        let metadata = tokio::task::spawn_blocking(move || {
            consumer.fetch_metadata(None, Duration::from_secs(20)).map(|metadata| metadata.brokers().len())
        });
        assert_eq!(metadata.await??, 3, "{listener:?}");
        Client::connect(config).await?.describe_client_quotas(&Filter::all()).await?;
    }
    Ok(())
}
