//! Whose certificate is accepted for which name.

use std::sync::Arc;

use kafka_admin::{Client, Config, Error};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

/// Lets clients in and says nothing.
async fn server(authority: &Authority, name: &str, tasks: &mut JoinSet<()>) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    });
    address
}

/// Whether TLS itself failed; an error there is in any case.
async fn refused(address: &str, authority: &Authority, more: &[(&str, &str)]) -> bool {
    let first = [
        ("bootstrap.servers", address),
        ("security.protocol", "SSL"),
        ("ssl.ca.pem", authority.pem.as_str()),
        ("admin.timeout.ms", "5000"),
    ];
    let config = Config::new(first.into_iter().chain(more.iter().copied())).unwrap();
    match Client::connect(config).await.err().unwrap() {
        Error::Tls { .. } => true,
        Error::Interrupted { .. } => false,
        error => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_and_authority_count_unless_they_are_switched_off() {
    let (ours, other) = (authority(), authority());
    let mut tasks = JoinSet::new();
    let right = server(&ours, "127.0.0.1", &mut tasks).await;
    let wrong = server(&ours, "kafka.example", &mut tasks).await;
    let no_name = [("ssl.endpoint.identification.algorithm", "none")];
    let nothing = [("enable.ssl.certificate.verification", "false")];
    assert!(!refused(&right, &ours, &[]).await);
    assert!(refused(&wrong, &ours, &[]).await);
    assert!(!refused(&wrong, &ours, &no_name).await);
    assert!(refused(&right, &other, &[]).await);
    assert!(refused(&right, &other, &no_name).await, "the authority counts without the name");
    assert!(!refused(&wrong, &other, &nothing).await);
}
