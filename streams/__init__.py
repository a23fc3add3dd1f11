"""The flow: a pure core (records, columns, windows, policy, engine) and the shell around it (Faust, Kafka, HTTP)."""
