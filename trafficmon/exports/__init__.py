"""What other systems are told of everything that happens: an outbox in order by camera, and the brokers it goes to."""
