//! Saying who we are ([KIP-152](https://cwiki.apache.org/confluence/display/KAFKA/KIP-152+-+Improve+diagnostics+for+SASL+authentication+failures)).

pub(crate) mod scram;

use crate::config::Sasl;

/// The one message of PLAIN ([RFC 4616](https://www.rfc-editor.org/rfc/rfc4616)): no authorization identity, user, password.
pub(crate) fn plain(sasl: &Sasl) -> Vec<u8> {
    ["", &sasl.username, sasl.password.expose()].join("\0").into_bytes()
}
