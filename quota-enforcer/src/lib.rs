//! Finds clients that take more than their share of Kafka, throttles them safely, and lets them go.
