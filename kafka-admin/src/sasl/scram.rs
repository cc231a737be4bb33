//! SCRAM, the client's side ([RFC 5802](https://www.rfc-editor.org/rfc/rfc5802), [RFC 7677](https://www.rfc-editor.org/rfc/rfc7677)), without channel binding, which Kafka does not have.
//!
//! Names and passwords are sent as they are: Kafka does not apply SASLprep either.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

/// RFC 7677 sets the least; Kafka's own greatest is 16,384, and more than the bound below costs noticeable time for each connection.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=100_000;

/// Which SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// What is wrong with the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScramError {
    #[error("the server's message is not SCRAM")]
    Malformed,
    #[error("the server's nonce does not continue ours")]
    Nonce,
    #[error("the server wants {0} iterations, outside of {least} to {most}", least = ITERATIONS.start(), most = ITERATIONS.end())]
    Iterations(u32),
    #[error("the server demands an extension")]
    Extension,
    #[error("the server does not know the password itself: its signature is wrong")]
    Signature,
    #[error("{0}")]
    Refused(String),
}

/// After the first message.
pub(crate) struct Start {
    hash: Hash,
    nonce: String,
    bare: String,
}

/// After the proof.
pub(crate) struct Proved {
    message: String,
    server_signature: Vec<u8>,
}

const HEADER: &str = "n,,";
/// Base64 of the header.
const BINDING: &str = "c=biws";

impl Start {
    /// The nonce is printable ASCII without commas.
    pub(crate) fn new(hash: Hash, username: &str, nonce: &str) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self { hash, nonce: nonce.to_owned(), bare: format!("n={name},r={nonce}") }
    }

    pub(crate) fn message(&self) -> String {
        format!("{HEADER}{}", self.bare)
    }

    /// Answers the server's challenge.
    pub(crate) fn prove(self, challenge: &[u8], password: &str) -> Result<Proved, ScramError> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| ScramError::Malformed)?;
        let mut fields = challenge.split(',');
        let mut next = |key: &str| fields.next().and_then(|field| field.strip_prefix(key));
        let nonce = match next("r=") {
            Some(nonce) => nonce,
            None if challenge.starts_with("m=") => return Err(ScramError::Extension),
            None => return Err(error_in(challenge)),
        };
        let added = nonce.strip_prefix(self.nonce.as_str()).ok_or(ScramError::Nonce)?;
        if added.is_empty() {
            return Err(ScramError::Nonce);
        }
        let salt = next("s=").and_then(|salt| STANDARD.decode(salt).ok()).ok_or(ScramError::Malformed)?;
        let iterations = next("i=").and_then(|count| count.parse().ok()).ok_or(ScramError::Malformed)?;
        if !ITERATIONS.contains(&iterations) {
            return Err(ScramError::Iterations(iterations));
        }
        if salt.is_empty() {
            return Err(ScramError::Malformed);
        }
        let unproved = format!("{BINDING},r={nonce}");
        let signed = format!("{},{challenge},{unproved}", self.bare);
        let keys = match self.hash {
            Hash::Sha256 => keys::<Sha256>(password, &salt, iterations, &signed),
            Hash::Sha512 => keys::<Sha512>(password, &salt, iterations, &signed),
        };
        let (proof, server_signature) = keys.ok_or(ScramError::Malformed)?;
        Ok(Proved { message: format!("{unproved},p={}", STANDARD.encode(proof)), server_signature })
    }
}

impl Proved {
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Checks that the server knows the password's keys too.
    pub(crate) fn verify(self, last: &[u8]) -> Result<(), ScramError> {
        let last = std::str::from_utf8(last).map_err(|_| ScramError::Malformed)?;
        let verifier = last.strip_prefix("v=").ok_or_else(|| error_in(last))?;
        let verifier = verifier.split(',').next().unwrap_or_default();
        let signature = STANDARD.decode(verifier).map_err(|_| ScramError::Malformed)?;
        match bool::from(signature.ct_eq(&self.server_signature)) {
            true => Ok(()),
            false => Err(ScramError::Signature),
        }
    }
}

fn error_in(message: &str) -> ScramError {
    message.strip_prefix("e=").map_or(ScramError::Malformed, |error| {
        ScramError::Refused(error.split(',').next().unwrap_or_default().to_owned())
    })
}

/// Client proof and server signature (RFC 5802, section 3).
fn keys<D: EagerHash + Digest>(
    password: &str,
    salt: &[u8],
    iterations: u32,
    signed: &str,
) -> Option<(Vec<u8>, Vec<u8>)>
where
    Hmac<D>: KeyInit + Mac + Clone,
{
    let mut salted = vec![0; <D as Digest>::output_size()];
    pbkdf2::pbkdf2_hmac::<D>(password.as_bytes(), salt, iterations, &mut salted);
    let client_key = mac::<D>(&salted, b"Client Key")?;
    let client_signature = mac::<D>(&<D as Digest>::digest(&client_key), signed.as_bytes())?;
    let proof = client_key.iter().zip(&client_signature).map(|(key, signature)| key ^ signature).collect();
    let server_key = mac::<D>(&salted, b"Server Key")?;
    Some((proof, mac::<D>(&server_key, signed.as_bytes())?))
}

fn mac<D: EagerHash>(key: &[u8], message: &[u8]) -> Option<Vec<u8>>
where
    Hmac<D>: KeyInit + Mac,
{
    let mut mac = <Hmac<D> as KeyInit>::new_from_slice(key).ok()?;
    Mac::update(&mut mac, message);
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests;
