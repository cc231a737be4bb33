//! The Kafka admin calls that librdkafka lacks.
