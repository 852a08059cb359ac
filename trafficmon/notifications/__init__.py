"""What people and other systems are told of alerts outside the pages: rules, an outbox, and the ways to send it."""
