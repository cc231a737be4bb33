use proptest::prelude::*;

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const CHALLENGE: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn start() -> Start {
    Start::new(Hash::Sha256, "user", NONCE)
}

#[test]
fn the_exchange_of_rfc_7677_is_reproduced() {
    assert_eq!(start().message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let proved = start().prove(CHALLENGE.as_bytes(), "pencil").unwrap();
    assert_eq!(
        proved.message(),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    proved.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    let proved = || start().prove(CHALLENGE.as_bytes(), "pencil").unwrap();
    let wrong = [
        "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==",
        "v=",
    ];
    for last in wrong {
        assert_eq!(proved().verify(last.as_bytes()), Err(ScramError::Signature), "{last}");
    }
    assert_eq!(proved().verify(b"v=%"), Err(ScramError::Malformed));
    assert_eq!(proved().verify(b""), Err(ScramError::Malformed));
    assert_eq!(proved().verify(b"e=invalid-proof,x"), Err(ScramError::Refused("invalid-proof".to_owned())));
}

#[test]
fn challenges_that_are_none_are_refused() {
    let cases = [
        ("r=other%hv,s=W22Z,i=4096", ScramError::Nonce),
        ("r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096", ScramError::Nonce),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4095", ScramError::Iterations(4_095)),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4294967295", ScramError::Iterations(u32::MAX)),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=-4096", ScramError::Malformed),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z", ScramError::Malformed),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", ScramError::Malformed),
        ("r=rOprNGfwEbeRWgbNEkqOx,s=*,i=4096", ScramError::Malformed),
        ("m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096", ScramError::Extension),
        ("e=unknown-user", ScramError::Refused("unknown-user".to_owned())),
        ("", ScramError::Malformed),
    ];
    for (challenge, error) in cases {
        assert_eq!(start().prove(challenge.as_bytes(), "pencil").err(), Some(error), "{challenge}");
    }
    assert_eq!(start().prove(&[0xff, 0xfe], "pencil").err(), Some(ScramError::Malformed));
}

/// The server's side by RFC 5802, section 3, from the stored keys and not from the password.
struct Server {
    hash: Hash,
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

fn digest(hash: Hash, bytes: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha256 => Sha256::digest(bytes).to_vec(),
        Hash::Sha512 => Sha512::digest(bytes).to_vec(),
    }
}

/// RFC 2104 from the hash alone.
fn hmac(hash: Hash, key: &[u8], message: &[u8]) -> Vec<u8> {
    let block = if hash == Hash::Sha256 { 64 } else { 128 };
    let mut key = if key.len() > block { digest(hash, key) } else { key.to_vec() };
    key.resize(block, 0);
    let pad = |byte: u8| key.iter().map(|key| key ^ byte).collect::<Vec<u8>>();
    let inner = digest(hash, &[pad(0x36), message.to_vec()].concat());
    digest(hash, &[pad(0x5c), inner].concat())
}

impl Server {
    fn new(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut round = hmac(hash, password.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
        let mut salted = round.clone();
        for _ in 1..iterations {
            round = hmac(hash, password.as_bytes(), &round);
            salted.iter_mut().zip(&round).for_each(|(sum, round)| *sum ^= round);
        }
        let stored_key = digest(hash, &hmac(hash, &salted, b"Client Key"));
        let server_key = hmac(hash, &salted, b"Server Key");
        Self { hash, salt: salt.to_vec(), iterations, stored_key, server_key }
    }

    /// The user's name as sent, the server's challenge.
    fn challenge(&self, first: &str) -> (String, String) {
        let (name, nonce) = first.strip_prefix("n,,n=").unwrap().split_once(",r=").unwrap();
        let unescaped = name.replace("=2C", ",").replace("=3D", "=");
        let salt = STANDARD.encode(&self.salt);
        (unescaped, format!("r={nonce}of-the-server,s={salt},i={}", self.iterations))
    }

    /// The last message, if the proof is one.
    fn check(&self, first: &str, challenge: &str, proof: &str) -> Option<String> {
        let (unproved, proof) = proof.split_once(",p=").unwrap();
        let signed = format!("{},{challenge},{unproved}", first.strip_prefix("n,,").unwrap());
        let signature = hmac(self.hash, &self.stored_key, signed.as_bytes());
        let proof = STANDARD.decode(proof).unwrap();
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(proof, byte)| proof ^ byte).collect();
        let signed = hmac(self.hash, &self.server_key, signed.as_bytes());
        (digest(self.hash, &client_key) == self.stored_key).then(|| format!("v={}", STANDARD.encode(signed)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_server_of_the_rfc_and_this_client_agree(
        long in any::<bool>(),
        name in "\\PC{1,12}|[=,]{1,4}",
        password in "\\PC{1,100}",
        other in "\\PC{1,10}",
        salt in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let hash = if long { Hash::Sha512 } else { Hash::Sha256 };
        let server = Server::new(hash, &password, &salt, 4_096);
        let start = || Start::new(hash, &name, "nonce");
        let first = start().message();
        let (named, challenge) = server.challenge(&first);
        prop_assert_eq!(named, name.clone());
        let proved = start().prove(challenge.as_bytes(), &password).unwrap();
        let last = server.check(&first, &challenge, proved.message());
        prop_assert!(last.is_some());
        prop_assert_eq!(proved.verify(last.unwrap().as_bytes()), Ok(()));
        if other != password {
            let wrong = start().prove(challenge.as_bytes(), &other).unwrap();
            prop_assert_eq!(server.check(&first, &challenge, wrong.message()), None);
        }
    }

    #[test]
    fn any_bytes_of_a_server_are_an_error_or_an_answer(
        challenge in proptest::collection::vec(any::<u8>(), 0..200),
        text in "r=n[ -~]{0,9},s=[A-Za-z0-9+/=]{0,8},i=[0-9-]{0,4}",
        last in proptest::collection::vec(any::<u8>(), 0..99),
    ) {
        for challenge in [challenge.as_slice(), text.as_bytes()] {
            if let Ok(proved) = Start::new(Hash::Sha256, "user", "n").prove(challenge, "pencil") {
                prop_assert!(proved.verify(&last).is_err());
            }
        }
    }
}
