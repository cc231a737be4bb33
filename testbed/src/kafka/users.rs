//! Users and what they may do.

use std::collections::HashSet;
use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, ApiKey, CreateAclsRequest,
    CreateAclsResponse, DescribeAclsRequest, DescribeAclsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};
use kafka_protocol::protocol::StrBytes;
use pbkdf2::pbkdf2_hmac;
use sha2::{Sha256, Sha512};

use super::options::{ENFORCER, password};
use super::wire::{call, check};

/// The fewest that Kafka accepts: logins are many here, and the passwords no secrets.
const ITERATIONS: u32 = 4_096;
/// Users of one request.
const BATCH: usize = 500;

/// What an operation is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The topic of this name.
    Topic(String),
    /// Topics whose names start so.
    Topics(String),
    /// Consumer groups whose names start so.
    Groups(String),
    /// Transactional ids that start so.
    TransactionalIds(String),
    /// The cluster.
    Cluster,
}

impl Resource {
    /// Resource type, name and pattern type (3 literal, 4 prefixed) as numbers of the protocol.
    fn codes(&self) -> (i8, &str, i8) {
        match self {
            Self::Topic(name) => (2, name, 3),
            Self::Topics(prefix) => (2, prefix, 4),
            Self::Groups(prefix) => (3, prefix, 4),
            Self::TransactionalIds(prefix) => (5, prefix, 4),
            Self::Cluster => (4, "kafka-cluster", 3),
        }
    }
}

/// An operation, by its number in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Operation {
    /// Every one.
    All = 2,
    /// Fetch; join a group.
    Read = 3,
    /// Produce.
    Write = 4,
    /// Create topics.
    Create = 5,
    /// Delete.
    Delete = 6,
    /// Look at.
    Describe = 8,
    /// Look at configurations, and at client quotas.
    DescribeConfigs = 10,
    /// Change configurations, and client quotas.
    AlterConfigs = 11,
}

/// Lets a user do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whom.
    pub user: String,
    /// To what.
    pub resource: Resource,
    /// What.
    pub operations: Vec<Operation>,
}

impl Grant {
    /// A grant.
    #[must_use]
    pub fn new(user: &str, resource: Resource, operations: &[Operation]) -> Self {
        Self { user: user.to_owned(), resource, operations: operations.to_vec() }
    }
}

/// What a tenant may do: everything with what starts with its name and a dot, and read and write what is shared.
pub(crate) fn tenant(user: &str) -> Vec<Grant> {
    let own = format!("{user}.");
    vec![
        Grant::new(user, Resource::Topics(own.clone()), &[Operation::All]),
        Grant::new(user, Resource::Groups(own.clone()), &[Operation::All]),
        Grant::new(user, Resource::TransactionalIds(own), &[Operation::All]),
        Grant::new(user, Resource::Topics("shared.".to_owned()), &[Operation::Read, Operation::Write]),
    ]
}

/// What the enforcer may do without further grants: look at the cluster, and at and after its quotas. Its topics, group and
/// transactional id are granted by who starts one.
pub(crate) fn enforcer() -> Vec<Grant> {
    let cluster = [Operation::Describe, Operation::DescribeConfigs, Operation::AlterConfigs];
    vec![Grant::new(ENFORCER, Resource::Cluster, &cluster)]
}

/// Stores the grants.
///
/// # Errors
/// When the broker does not, or refuses one.
pub(crate) async fn grant(broker: SocketAddr, grants: &[Grant]) -> Result<()> {
    let creations = grants.iter().flat_map(|grant| {
        let (kind, name, pattern) = grant.resource.codes();
        grant.operations.iter().map(move |operation| {
            AclCreation::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_resource_pattern_type(pattern)
                .with_principal(text(&format!("User:{}", grant.user)))
                .with_host(text("*"))
                .with_operation(*operation as i8)
                .with_permission_type(3)
        })
    });
    let request = CreateAclsRequest::default().with_creations(creations.collect());
    let answer: CreateAclsResponse = call(broker, ApiKey::CreateAcls, 3, &request).await?;
    for result in &answer.results {
        check("grant", result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

/// Whether a broker knows the grants: it learns them from the controller, a moment after they were stored.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn granted(broker: SocketAddr, grants: &[Grant]) -> Result<bool> {
    const ANY: i8 = 1;
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(ANY)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(ANY)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(ANY)
        .with_permission_type(ANY);
    let answer: DescribeAclsResponse = call(broker, ApiKey::DescribeAcls, 3, &request).await?;
    check("describe permissions", answer.error_code, answer.error_message.as_ref())?;
    let known: HashSet<_> = answer
        .resources
        .iter()
        .flat_map(|of| {
            let resource = (of.resource_type, of.resource_name.as_str(), of.pattern_type);
            of.acls.iter().map(move |acl| (resource, acl.principal.to_string(), acl.operation))
        })
        .collect();
    let knows = |grant: &Grant| {
        let principal = format!("User:{}", grant.user);
        let resource = grant.resource.codes();
        grant
            .operations
            .iter()
            .all(|operation| known.contains(&(resource, principal.clone(), *operation as i8)))
    };
    Ok(grants.iter().all(knows))
}

/// Stores SCRAM credentials of users, with the test bed's passwords.
///
/// # Errors
/// When the broker does not.
pub(crate) async fn create(broker: SocketAddr, users: &[&str]) -> Result<()> {
    for users in users.chunks(BATCH) {
        let short = users.iter().map(|user| (*user, 1, salted::<32>(user, pbkdf2_hmac::<Sha256>)));
        upsert(broker, short).await?;
        // Kafka refuses to change a user twice in one request.
        let long = users.iter().map(|user| (*user, 2, salted::<64>(user, pbkdf2_hmac::<Sha512>)));
        upsert(broker, long).await?;
    }
    Ok(())
}

/// Stores credentials: user, mechanism (1 is SCRAM-SHA-256, 2 SCRAM-SHA-512) and salted password.
async fn upsert(broker: SocketAddr, credentials: impl Iterator<Item = (&str, i8, Vec<u8>)>) -> Result<()> {
    let upsertions = credentials.map(|(user, mechanism, salted)| {
        ScramCredentialUpsertion::default()
            .with_name(text(user))
            .with_mechanism(mechanism)
            .with_iterations(ITERATIONS.cast_signed())
            .with_salt(Bytes::from(salt(user)))
            .with_salted_password(Bytes::from(salted))
    });
    let request = AlterUserScramCredentialsRequest::default().with_upsertions(upsertions.collect());
    let answer: AlterUserScramCredentialsResponse =
        call(broker, ApiKey::AlterUserScramCredentials, 0, &request).await?;
    for result in &answer.results {
        let what = format!("create user {}", result.user.as_str());
        check(&what, result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

/// Reproducible, and different for each user.
fn salt(user: &str) -> Vec<u8> {
    format!("salt of {user}").into_bytes()
}

fn salted<const N: usize>(user: &str, derive: fn(&[u8], &[u8], u32, &mut [u8])) -> Vec<u8> {
    let mut salted = [0; N];
    derive(password(user).as_bytes(), &salt(user), ITERATIONS, &mut salted);
    salted.to_vec()
}

/// The users that a broker knows: it learns them from the controller, a moment after they were created.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn known(broker: SocketAddr) -> Result<Vec<String>> {
    let request = DescribeUserScramCredentialsRequest::default().with_users(None);
    let answer: DescribeUserScramCredentialsResponse =
        call(broker, ApiKey::DescribeUserScramCredentials, 0, &request).await?;
    check("describe users", answer.error_code, answer.error_message.as_ref())?;
    Ok(answer.results.iter().map(|user| user.user.to_string()).collect())
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
