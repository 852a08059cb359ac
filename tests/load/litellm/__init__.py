"""LiteLLM's Router on the pool's own ground: the same simulator, the same questions, as many processes."""
