//! TLS as the properties want it, with one provider of cryptography that is passed on and never installed.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::{ConfigError, Properties};

pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// Reads certificates and keys.
pub(crate) fn client_config(given: &Properties) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::new("security.protocol", error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(given, provider)?);
    let certificate = given.text("ssl.certificate.pem", "ssl.certificate.location")?;
    let key = given.text("ssl.key.pem", "ssl.key.location")?;
    match (certificate, key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some((property, chain)), Some((key_property, key))) => builder
            .with_client_auth_cert(certificates(property, &chain)?, private_key(key_property, &key)?)
            .map_err(|error| {
                ConfigError::new(key_property, format!("does not fit the certificate: {error}"))
            }),
        (Some((property, _)), None) => Err(ConfigError::new(property, "needs ssl.key.location too")),
        (None, Some((property, _))) => Err(ConfigError::new(property, "needs ssl.certificate.location too")),
    }
}

fn verifier(
    given: &Properties,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
    let property = "ssl.endpoint.identification.algorithm";
    let check_name = match given.get(property).map(str::to_ascii_lowercase).as_deref() {
        None | Some("https") => true,
        Some("none") => false,
        Some(_) => return Err(ConfigError::new(property, "is neither https nor none")),
    };
    if !given.switch("enable.ssl.certificate.verification", true)? {
        return Ok(Arc::new(Lenient { inner: None, provider }));
    }
    let (property, roots) = roots(given)?;
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| ConfigError::new(property, error.to_string()))?;
    if check_name { Ok(inner) } else { Ok(Arc::new(Lenient { inner: Some(inner), provider })) }
}

/// The named authorities, or else those of the system.
fn roots(given: &Properties) -> Result<(&'static str, RootCertStore), ConfigError> {
    let mut roots = RootCertStore::empty();
    // librdkafka's word for the system's own.
    let probe = given.get("ssl.ca.location") == Some("probe");
    if let Some((property, text)) = if probe { None } else { given.text("ssl.ca.pem", "ssl.ca.location")? } {
        for certificate in certificates(property, &text)? {
            roots.add(certificate).map_err(|error| ConfigError::new(property, error.to_string()))?;
        }
        return Ok((property, roots));
    }
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => {
            Err(ConfigError::new("ssl.ca.location", "is needed: this system has no certificate authorities"))
        }
        false => Ok(("ssl.ca.location", roots)),
    }
}

fn certificates(property: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| ConfigError::new(property, "holds no PEM certificate"))
}

fn private_key(property: &str, pem: &str) -> Result<PrivateKeyDer<'static>, ConfigError> {
    if pem.contains("ENCRYPTED") {
        let reason =
            "holds an encrypted key, which is not supported: store it decrypted (openssl pkcs8 -in KEY)";
        return Err(ConfigError::new(property, reason));
    }
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| ConfigError::new(property, "holds no PEM private key"))
}

/// Checks less than rustls does, where the configuration says so: not the name, or nothing but signatures.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        // The name is what webpki checks last, after the chain.
        match inner.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
