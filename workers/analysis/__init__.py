"""One recording, analysed by the same code as the fleet but without it: no queue, no Redis, no database rows."""
