"""The Kafka side of the stream: everything that imports confluent_kafka to read, write and commit records."""
