//! An authority of the test bed's own, with certificates for the brokers and for users.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::files::write;

/// Signs certificates and keeps them as PEM files in a folder.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority and the brokers' certificate; `folder` exists.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let mut params = named("test bed authority", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let authority = Self { issuer: Issuer::new(params, key), folder: folder.to_owned() };
        write(&authority.root(), &certificate)?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let (chain, key) = authority.sign("broker", names)?;
        write(&authority.broker(), &format!("{key}{chain}"))?;
        Ok(authority)
    }

    /// The authority's certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Key and certificate of the brokers, in one file as Kafka wants them.
    pub(crate) fn broker(&self) -> PathBuf {
        self.folder.join("broker.pem")
    }

    /// Certificate and key of a user; its common name is the user's.
    pub(crate) fn client(&self, user: &str) -> (PathBuf, PathBuf) {
        (self.folder.join(format!("{user}.pem")), self.folder.join(format!("{user}.key")))
    }

    /// Makes [`Authority::client`]'s files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn issue(&self, user: &str) -> Result<()> {
        let (chain, key) = self.sign(user, Vec::new())?;
        let (chain_file, key_file) = self.client(user);
        write(&chain_file, &chain)?;
        write(&key_file, &key)
    }

    fn sign(&self, name: &str, alternatives: Vec<String>) -> Result<(String, String)> {
        let mut params = named(name, alternatives)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer).with_context(|| format!("sign {name}"))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

fn named(name: &str, alternatives: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(alternatives)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
