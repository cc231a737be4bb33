//! SaslHandshake (17) and SaslAuthenticate (36).

use kafka_protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};

use crate::wire::Call;
use crate::wire::shape::{INT16, INT64, Kind, Shape, always, since};

/// Version 0 would be followed by messages without frames.
impl Call for SaslHandshakeRequest {
    type Response = SaslHandshakeResponse;
    const KEY: ApiKey = ApiKey::SaslHandshake;
    const VERSIONS: (i16, i16) = (1, 1);
    const SHAPE: Shape =
        Shape { flexible: i16::MAX, fields: &[always(INT16), always(Kind::Array(&Kind::String))], tags: &[] };
}

impl Call for SaslAuthenticateRequest {
    type Response = SaslAuthenticateResponse;
    const KEY: ApiKey = ApiKey::SaslAuthenticate;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: Shape = Shape {
        flexible: 2,
        fields: &[always(INT16), always(Kind::String), always(Kind::Bytes), since(1, INT64)],
        tags: &[],
    };
}
