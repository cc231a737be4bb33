//! What Kafka's own tool tells of quotas.

use std::collections::BTreeSet;

/// The lines of `kafka-configs --describe` that are of quotas, and not of users' credentials. Of each the values stand in the
/// order of their keys: the tool has none.
#[must_use]
pub fn quotas_told(output: &str) -> BTreeSet<String> {
    output.lines().filter(|line| line.starts_with("Quota configs")).map(in_order).collect()
}

/// `… are KEY=VALUE, KEY=VALUE`.
fn in_order(line: &str) -> String {
    let Some((entity, values)) = line.split_once(" are ") else { return line.to_owned() };
    let mut values: Vec<&str> = values.split(", ").collect();
    values.sort_unstable();
    format!("{entity} are {}", values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_credentials_nor_the_order_of_values_matter() {
        let told = "Quota configs for user-principal 'a' are request_percentage=400.0, consumer_byte_rate=7.0E7\n\
            SCRAM credential configs for user-principal 'a' are SCRAM-SHA-512=iterations=4096\n";
        let other =
            "Quota configs for user-principal 'a' are consumer_byte_rate=7.0E7, request_percentage=400.0";
        assert_eq!(quotas_told(told), BTreeSet::from([other.to_owned()]));
    }
}
