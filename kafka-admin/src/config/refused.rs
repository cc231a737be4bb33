//! Properties that librdkafka or Java clients have and that cannot be honoured here.

use super::ConfigError;
use super::property::Properties;

const PEM: &str =
    "key stores are not supported: use ssl.certificate.location, ssl.key.location and ssl.ca.location (PEM)";
const JAVA: &str = "belongs to Java clients: use sasl.mechanisms, sasl.username and sasl.password";
const KERBEROS: &str =
    "GSSAPI (Kerberos) is not supported: use sasl.mechanisms PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
const TOKENS: &str =
    "OAUTHBEARER is not supported: use sasl.mechanisms PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
const RUSTLS: &str =
    "is not supported: remove it, TLS 1.2 and 1.3 with the safe suites of rustls are what is offered";
const REVOKED: &str =
    "revocation lists are not supported: remove it, or keep the broker behind a CA of its own";

/// By the beginning of the name.
const REFUSED: [(&str, &str); 15] = [
    ("ssl.keystore.", PEM),
    ("ssl.truststore.", PEM),
    ("ssl.key.password", "encrypted keys are not supported: store the key decrypted (openssl pkcs8 -in KEY)"),
    ("ssl.crl.location", REVOKED),
    ("ssl.engine.", RUSTLS),
    ("ssl.providers", RUSTLS),
    ("ssl.cipher.suites", RUSTLS),
    ("ssl.curves.list", RUSTLS),
    ("ssl.sigalgs.list", RUSTLS),
    ("sasl.jaas.config", JAVA),
    ("sasl.login.", JAVA),
    ("sasl.client.callback.handler.class", JAVA),
    ("sasl.kerberos.", KERBEROS),
    ("sasl.oauthbearer.", TOKENS),
    ("enable.sasl.oauthbearer.unsecure.jwt", TOKENS),
];

/// Finds the first of them.
pub(super) fn check(given: &Properties) -> Result<(), ConfigError> {
    for name in given.names() {
        if let Some((_, reason)) = REFUSED.iter().find(|(start, _)| name.starts_with(start)) {
            return Err(ConfigError::new(name, *reason));
        }
    }
    let property = "sasl.mechanisms";
    match given.get(property).map(str::to_ascii_uppercase).as_deref() {
        Some("GSSAPI") => Err(ConfigError::new(property, KERBEROS)),
        Some("OAUTHBEARER") => Err(ConfigError::new(property, TOKENS)),
        _ => Ok(()),
    }
}
